package engineio

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// isUpgrade reports whether Node would take r for an upgrade request: Connection names "upgrade",
// and there is an Upgrade header with any value.
func isUpgrade(r *http.Request) bool {
	if r.Header.Get("Upgrade") == "" {
		return false
	}
	for _, line := range r.Header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

// abortUpgrade refuses an upgrade request with plain text, and closes the connection. Like Node's
// server it drops the headers that were set before (CORS) and sends extra.
func abortUpgrade(w http.ResponseWriter, status int, message string, extra ...string) {
	h := w.Header()
	clear(h)
	for i := 0; i < len(extra); i += 2 {
		h.Set(extra[i], extra[i+1])
	}
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(message)))
	w.WriteHeader(status)
	w.Write([]byte(message))
}

// checkHandshake checks a WebSocket handshake's headers and answers a bad one.
func checkHandshake(w http.ResponseWriter, r *http.Request) (ok bool) {
	version := r.Header.Get("Sec-WebSocket-Version")
	switch {
	case r.Method != http.MethodGet:
		abortUpgrade(w, http.StatusMethodNotAllowed, "Invalid HTTP method")
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		abortUpgrade(w, http.StatusBadRequest, "Invalid Upgrade header")
	case !validKey(r.Header.Get("Sec-WebSocket-Key")):
		abortUpgrade(w, http.StatusBadRequest, "Missing or invalid Sec-WebSocket-Key header")
	case version != "13" && version != "8":
		abortUpgrade(w, http.StatusBadRequest, "Missing or invalid Sec-WebSocket-Version header", "Sec-WebSocket-Version", "13, 8")
	default:
		return true
	}
	return false
}

func validKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(b) == 16 && len(key) == 24
}

// switchHead returns the response that makes a connection a WebSocket. extra has the headers of
// CORS and hooks.
func switchHead(r *http.Request, extra http.Header, deflate bool) []byte {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	b := make([]byte, 0, 256)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	if p, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ","); strings.TrimSpace(p) != "" {
		b = append(append(b, "\r\nSec-WebSocket-Protocol: "...), strings.TrimSpace(p)...)
	}
	if deflate {
		b = append(b, "\r\nSec-WebSocket-Extensions: "+deflateAnswer...)
	}
	b = append(b, "\r\n"...)
	if len(extra) > 0 {
		var text strings.Builder
		_ = extra.Write(&text) // a strings.Builder takes all
		b = append(b, text.String()...)
	}
	return append(b, "\r\n"...)
}

// hijack takes the connection from the HTTP server, with the bytes that the server has already
// read.
func hijack(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	read, err := takeBuffered(conn, rw.Reader)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, read, nil
}

// takeBuffered returns the bytes that the reader, and a connection that began with such bytes
// itself, have read from the socket. A reader of the socket's descriptor would miss them. Such a
// connection has a method Buffered.
func takeBuffered(conn net.Conn, r *bufio.Reader) ([]byte, error) {
	n := r.Buffered()
	read := make([]byte, n)
	if _, err := r.Read(read); n > 0 && err != nil {
		return nil, err
	}
	if b, ok := conn.(interface{ Buffered() int }); ok {
		if n := b.Buffered(); n > 0 {
			more := make([]byte, n)
			n, err := conn.Read(more)
			if err != nil {
				return nil, err
			}
			read = append(read, more[:n]...)
		}
	}
	return read, nil
}
