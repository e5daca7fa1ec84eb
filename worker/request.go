package worker

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// exchange holds the parsed head of one request. It comes from a pool.
type exchange struct{ head http1.Head }

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (x *exchange) put() { exchanges.Put(x) }

// takes reports whether a request is one of Engine.IO that pollServer can serve. net/http serves
// the app's pages, and everything else in HTTP: other methods, chunked bodies, upgrades,
// expectations, HTTP/1.0.
func (s *pollServer) takes(h *http1.Head, b []byte) bool {
	switch method := h.Method.Of(b); {
	case string(method) == http.MethodPost:
	case string(method) == http.MethodGet && h.Length <= 0:
	default:
		return false
	}
	target := h.Target.Of(b)
	return len(target) > len(s.path)+1 && string(target[:len(s.path)]) == s.path && target[len(s.path)] == '?' &&
		h.Minor == 1 && !h.Chunked && !h.Expect && !h.Close && h.Value(b, http1.FieldUpgrade) == nil
}

// request returns the request as net/http would, with the context of blank, and the router's
// claims. One string backs all its text.
func (x *exchange) request(blank *http.Request, head, body []byte, addr string) (*http.Request, claims, error) {
	text := string(head)
	at := func(s http1.Span) string { return text[s.From:s.To] }
	r := new(http.Request)
	*r = *blank // only a copy of a request has its context
	r.Method, r.RequestURI = at(x.head.Method), at(x.head.Target)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.RemoteAddr, r.ContentLength, r.Body = addr, int64(len(body)), http.NoBody
	if len(body) > 0 {
		r.Body = &wholeBody{body}
	}
	var err error
	if r.URL, err = parseTarget(r.RequestURI); err != nil {
		return nil, claims{}, err
	}
	fields := x.head.Fields()
	r.Header = make(http.Header, len(fields))
	values := make([]string, 0, len(fields)) // of all fields
	var claim claims
	for i := range fields {
		f := &fields[i]
		name, value := at(f.Name), at(f.Value)
		switch f.ID {
		case http1.FieldHost:
			r.Host = value
		case http1.FieldSidereal, http1.FieldSiderealWorker, http1.FieldSiderealKey:
			claim.take(textproto.CanonicalMIMEHeaderKey(name), value)
		default:
			name = textproto.CanonicalMIMEHeaderKey(name)
			if more := r.Header[name]; more != nil {
				r.Header[name] = append(more, value)
				continue
			}
			values = append(values, value)
			r.Header[name] = values[len(values)-1 : len(values) : len(values)]
		}
	}
	return r, claim, nil
}

// parseTarget reads a target in origin form.
func parseTarget(target string) (*url.URL, error) {
	if path, query, _ := strings.Cut(target, "?"); query != "" && strings.IndexByte(path, '%') < 0 {
		return &url.URL{Path: path, RawQuery: query}, nil
	}
	return url.ParseRequestURI(target)
}

// wholeBody is a body that has arrived. Read returns its last bytes together with io.EOF.
type wholeBody struct{ rest []byte }

func (b *wholeBody) Read(p []byte) (n int, err error) {
	n = copy(p, b.rest)
	if b.rest = b.rest[n:]; len(b.rest) == 0 {
		err = io.EOF
	}
	return n, err
}

func (b *wholeBody) Close() error { return nil }
