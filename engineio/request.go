package engineio

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net/http"
	"net/url"
)

// firstRequest is a session's copy of its first request. Packed into one string, headers and URL
// take a third of their size in an http.Request, which was half of an idle session.
type firstRequest struct {
	ctx context.Context
	tls *tls.ConnectionState
	// text is the client's address, method, protocol, host, target, URL, then names and values of
	// headers, each with its length before it.
	text string
}

func packRequest(r *http.Request) firstRequest {
	b := make([]byte, 0, 512)
	u := r.URL.String()
	if u == r.RequestURI {
		u = "" // as it is but for what a middleware has changed
	}
	for _, s := range []string{r.RemoteAddr, r.Method, r.Proto, r.Host, r.RequestURI, u} {
		b = appendPacked(b, s)
	}
	for name, values := range r.Header {
		for _, v := range values {
			b = appendPacked(appendPacked(b, name), v)
		}
	}
	return firstRequest{ctx: r.Context(), tls: r.TLS, text: string(b)}
}

func appendPacked(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// cutPacked cuts off the first string.
func cutPacked(text string) (s, rest string) {
	n, size := binary.Uvarint([]byte(text[:min(len(text), binary.MaxVarintLen64)]))
	end := size + int(n)
	return text[size:end], text[end:]
}

func (f *firstRequest) remoteAddr() string {
	addr, _ := cutPacked(f.text)
	return addr
}

// unpack makes the request again: without a body, and with a context that has the values of the
// original one but doesn't end with it.
func (f *firstRequest) unpack() *http.Request {
	rest := f.text
	next := func() (s string) {
		s, rest = cutPacked(rest)
		return s
	}
	r := &http.Request{
		RemoteAddr: next(), Method: next(), Proto: next(), Host: next(),
		Header: make(http.Header), Body: http.NoBody, TLS: f.tls,
	}
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(r.Proto)
	r.RequestURI = next()
	r.URL, _ = url.ParseRequestURI(r.RequestURI)
	if changed := next(); changed != "" {
		r.URL, _ = url.Parse(changed)
	}
	if r.URL == nil {
		r.URL = new(url.URL) // of a middleware's that is none
	}
	for len(rest) > 0 {
		name := next()
		r.Header[name] = append(r.Header[name], next())
	}
	return r.WithContext(context.WithoutCancel(f.ctx))
}
