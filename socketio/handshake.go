package socketio

import (
	"encoding/json"
	"net/http"
)

// Handshake is what was known when a socket's connection began. It stems from the first request of the session.
type Handshake struct {
	// Headers are that request's headers.
	Headers http.Header
	// Time is when the socket connected, as JavaScript prints a Date.
	Time string
	// Address is the client's network address, without a port.
	Address string
	// XDomain reports that the request had an Origin header.
	XDomain bool
	// Secure reports that it came over TLS.
	Secure bool
	// Issued is when the socket connected, in milliseconds since 1970.
	Issued int64
	// URL is the request's path and query.
	URL string
	// Query has the parameters of URL; of several with one name the last.
	Query map[string]string
	// Auth is the JSON object the client connected with: {} when it gave none.
	Auth json.RawMessage
}
