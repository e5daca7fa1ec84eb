package socketio

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Handshake describes how a socket connected, by the first request of its session. Its JSON is the
// object that Node's clients and servers know.
type Handshake struct {
	// Headers has the request's headers, and Host.
	Headers http.Header
	// Time says when the socket connected, as JavaScript prints a Date.
	Time string
	// Address is the client's network address without the port.
	Address string
	// XDomain reports whether the request had an Origin header.
	XDomain bool
	// Secure reports whether the request came over TLS.
	Secure bool
	// Issued is the time when the socket connected, in milliseconds since 1970.
	Issued int64
	// URL is the request's path and query.
	URL string
	// Query has the parameters of URL. If a name has several values, it has the last.
	Query map[string]string
	// Auth is the JSON object that the client connected with, or {}.
	Auth json.RawMessage
}

// DecodeAuth decodes Auth into v.
func (h *Handshake) DecodeAuth(v any) error {
	args, err := packet.ParseArgs(slices.Concat([]byte{'['}, h.auth(), []byte{']'}), 0)
	if err != nil {
		return err
	}
	return args.Decode(0, v)
}

func (h *Handshake) auth() json.RawMessage {
	if len(h.Auth) == 0 {
		return json.RawMessage("{}")
	}
	return h.Auth
}

// jsDate is the form in which JavaScript prints a Date in UTC.
const jsDate = "Mon Jan 02 2006 15:04:05 GMT+0000 (Coordinated Universal Time)"

func newHandshake(r *http.Request, address string, issued int64, auth json.RawMessage) *Handshake {
	headers := r.Header.Clone()
	if headers == nil {
		headers = make(http.Header)
	}
	if r.Host != "" {
		headers.Set("Host", r.Host)
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	h := &Handshake{
		Headers: headers,
		Time:    time.UnixMilli(issued).UTC().Format(jsDate),
		Address: address,
		XDomain: headers.Get("Origin") != "",
		Secure:  r.TLS != nil,
		Issued:  issued,
		URL:     r.RequestURI,
		Query:   make(map[string]string),
		Auth:    auth,
	}
	if h.URL == "" {
		h.URL = r.URL.RequestURI()
	}
	query, _ := url.ParseQuery(r.URL.RawQuery) // what of it can be read
	for name, values := range query {
		h.Query[name] = values[len(values)-1]
	}
	h.Auth = h.auth()
	return h
}

// wireHandshake has the members in Node's order.
type wireHandshake struct {
	Headers map[string]any  `json:"headers"`
	Time    string          `json:"time"`
	Address string          `json:"address"`
	XDomain bool            `json:"xdomain"`
	Secure  bool            `json:"secure"`
	Issued  int64           `json:"issued"`
	URL     string          `json:"url"`
	Query   map[string]any  `json:"query"`
	Auth    json.RawMessage `json:"auth"`
}

// MarshalJSON writes header names in lower case and joins the values of each.
func (h Handshake) MarshalJSON() ([]byte, error) {
	w := wireHandshake{
		Headers: make(map[string]any, len(h.Headers)), Time: h.Time, Address: h.Address, XDomain: h.XDomain, Secure: h.Secure,
		Issued: h.Issued, URL: h.URL, Query: make(map[string]any, len(h.Query)), Auth: h.auth(),
	}
	for name, values := range h.Headers {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		w.Headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	for name, value := range h.Query {
		w.Query[name] = value
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// UnmarshalJSON also reads the form of Node servers, which have lists for several values.
func (h *Handshake) UnmarshalJSON(text []byte) error {
	var w wireHandshake
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*h = Handshake{
		Headers: make(http.Header, len(w.Headers)), Time: w.Time, Address: w.Address, XDomain: w.XDomain, Secure: w.Secure,
		Issued: w.Issued, URL: w.URL, Query: make(map[string]string, len(w.Query)), Auth: w.Auth,
	}
	for name, value := range w.Headers {
		for _, text := range listed(value) {
			h.Headers.Add(name, text)
		}
	}
	for name, value := range w.Query {
		for _, text := range listed(value) {
			h.Query[name] = text
		}
	}
	return nil
}

// listed returns the texts in a JSON value.
func listed(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, item := range v {
			list = append(list, listed(item)...)
		}
		return list
	}
	return nil
}
