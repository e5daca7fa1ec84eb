package router

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// requestConn is one request that net/http has read, as a connection that speaks HTTP/1.1: the
// router reads the request from it, and what the router writes to it becomes the response. Nothing
// runs beside the handler: reads pull the body, and writes push the response.
type requestConn struct {
	c       *conn // the router's
	w       http.ResponseWriter
	req     *http.Request
	control *http.ResponseController

	text    []byte // the request's head; borrowed
	at      int    // of it that was read
	chunked bool   // the body has no length
	ended   bool   // it was read to its end
	until   time.Time

	response  []byte // what came of the response's head
	head      http1.Head
	answered  bool // the head is out
	body      body
	malformed bool
}

var requestConns = sync.Pool{New: func() any { return new(requestConn) }}

func beginRequest(w http.ResponseWriter, req *http.Request) *requestConn {
	s := requestConns.Get().(*requestConn)
	s.w, s.req, s.control = w, req, http.NewResponseController(w)
	_ = s.control.EnableFullDuplex() // answers may come before the body's end; HTTP/2 needs no permission
	return s
}

// serve serves the request as the only one of c, and ends it. Cut reports whether the router has
// ended the request, and not its client.
func (s *requestConn) serve(ctx context.Context, c *conn, cut func() bool) {
	if !s.compose() {
		c.r.conns.forget(c)
		c.r.metrics.refused.WithLabelValues("400").Inc()
		http.Error(s.w, http1.ErrLine.Why, http.StatusBadRequest)
		s.end()
		return
	}
	s.c = c
	c.Init(s, writeTimeout)
	c.last = true
	stop := context.AfterFunc(s.req.Context(), func() {
		if cut() {
			c.cutOff()
		} else {
			c.wait.clientLeft(true)
		}
	})
	c.serve(ctx)
	stop()
	whole := s.whole()
	s.end()
	if !whole {
		panic(http.ErrAbortHandler) // resets the stream: what came is not all
	}
}

// end gives the stream back. Nobody uses it any more.
func (s *requestConn) end() {
	if s.text != nil {
		bufpool.Put(s.text)
	}
	*s = requestConn{response: s.response[:0]}
	requestConns.Put(s)
}

// compose writes the request's head as HTTP/1.1 has it. It returns false if something in it isn't
// allowed there. HTTP/2 carries any byte in its fields, so each is held to the rules of the parser
// that reads it next.
func (s *requestConn) compose() bool {
	req := s.req
	if !http1.IsToken(req.Method) || !http1.IsTarget(req.RequestURI) || !http1.IsHost(req.Host) || req.Method == "" || req.RequestURI == "" {
		return false
	}
	b := append(append(bufpool.Get(1 << 10)[:0], req.Method...), ' ')
	b = append(append(b, req.RequestURI...), " HTTP/1.1\r\nHost: "...)
	b = append(append(b, req.Host...), "\r\n"...)
	for name, values := range req.Header {
		if !s.carries(name) {
			continue
		}
		for _, v := range values {
			if !http1.IsToken(name) || !http1.IsValue(v) {
				bufpool.Put(b)
				return false
			}
			b = bufpool.Grow(b, len(name)+len(v)+4)
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	b = bufpool.Grow(b, 48)
	switch s.chunked = req.ContentLength < 0; {
	case s.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case req.ContentLength > 0 || req.Method == http.MethodPost:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), req.ContentLength, 10), "\r\n"...)
	}
	s.text = append(b, "\r\n"...)
	return true
}

// carries reports whether a field goes on: not those of the connection, of the framing, and of our
// own routers, which speak HTTP/1.1.
func (s *requestConn) carries(name string) bool {
	if name == "" {
		return false
	}
	switch http1.IDOf([]byte(name)) {
	case http1.FieldHost, http1.FieldContentLength, http1.FieldTransferEncoding, http1.FieldConnection, http1.FieldUpgrade, http1.FieldExpect, http1.FieldHop,
		http1.FieldSidereal, http1.FieldSiderealWorker, http1.FieldSiderealKey:
		return false
	}
	return true
}

// Read is of the request.
func (s *requestConn) Read(p []byte) (int, error) {
	if s.at < len(s.text) {
		n := copy(p, s.text[s.at:])
		s.at += n
		return n, nil
	}
	if !s.until.IsZero() {
		s.control.SetReadDeadline(s.until)
		s.until = time.Time{}
	}
	if !s.chunked {
		return s.req.Body.Read(p)
	}
	return s.readChunk(p)
}

// readChunk reads a piece of the body as a chunk. P has room for that: what is read into is a whole
// buffer, or grown.
func (s *requestConn) readChunk(p []byte) (int, error) {
	const before, after = 8, 2 // six digits, CR LF; CR LF
	const last = "0\r\n\r\n"
	if s.ended {
		return 0, io.EOF
	}
	if len(p) < before+after+1 {
		return 0, io.ErrShortBuffer
	}
	n, err := s.req.Body.Read(p[before : len(p)-after])
	if n > 0 {
		size := strconv.AppendInt(make([]byte, 0, before), int64(n)|1<<24, 16) // seven digits, of which the first goes
		copy(p, size[1:])
		copy(p[6:], "\r\n")
		copy(p[before+n:], "\r\n")
		return before + n + after, nil
	}
	if err == io.EOF {
		s.ended = true
		return copy(p, last), nil
	}
	return 0, err
}

// Write is of the response: its head, in any pieces, and its body.
func (s *requestConn) Write(p []byte) (int, error) {
	n := len(p)
	if !s.answered {
		if len(s.response) > 0 {
			s.response = append(s.response, p...)
			p = s.response
		}
		end, err := s.head.ParseResponse(p, 0)
		if err == http1.ErrMore {
			if len(s.response) == 0 {
				s.response = append(s.response, p...)
			}
			return n, nil
		}
		if err != nil {
			s.malformed = true
			return 0, err
		}
		s.answer(p)
		p = p[end:]
	}
	if err := s.writeBody(p); err != nil {
		return 0, err
	}
	return n, nil
}

// answer sends the response's head. It leaves out the fields about the connection. If the router
// drains, the client goes elsewhere with its next request.
func (s *requestConn) answer(b []byte) {
	h, to := &s.head, s.w.Header()
	for i := range h.Fields() {
		switch f := &h.Fields()[i]; f.ID {
		case http1.FieldConnection, http1.FieldUpgrade, http1.FieldHop, http1.FieldTransferEncoding:
		default:
			name := textproto.CanonicalMIMEHeaderKey(string(f.Name.Of(b)))
			to[name] = append(to[name], string(f.Value.Of(b)))
		}
	}
	if s.c.parent != nil && s.c.r.draining.Load() {
		to.Set("Connection", "close")
	}
	s.answered = true
	switch {
	case s.req.Method == http.MethodHead || h.Status == http.StatusNoContent || h.Status == http.StatusNotModified:
	case h.Chunked:
		s.body = body{chunked: true, decode: true}
	case h.Length < 0:
		s.body.untilClose = true
	default:
		s.body.rest = h.Length
	}
	s.w.WriteHeader(h.Status)
}

// writeBody sends a piece of the body. One that is complete leaves with the end of the stream.
func (s *requestConn) writeBody(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	var out []byte
	if s.body.chunked {
		out = bufpool.Get(len(p))
		defer func() { bufpool.Put(out) }()
	}
	k, out, err := s.body.take(p, out, false)
	if err != nil {
		s.malformed = true
		return err
	}
	if k < 0 {
		out = p[:-k]
	}
	if len(out) > 0 {
		if _, err := s.w.Write(out); err != nil {
			return err
		}
	}
	if !s.body.done() {
		return s.control.Flush()
	}
	return nil
}

// whole reports whether the client got a whole response. One without a length is whole when the
// router is done with it.
func (s *requestConn) whole() bool {
	return s.answered && !s.malformed && s.body.rest == 0 && !s.body.chunked
}

func (s *requestConn) Close() error         { return nil }
func (s *requestConn) LocalAddr() net.Addr  { return nil }
func (s *requestConn) RemoteAddr() net.Addr { return nil }

// SetDeadline is what ends a connection on the spot; the handler's end does that here.
func (s *requestConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is for the body. It costs a message to the connection's goroutine, so it waits
// for a read that needs it; but one that is past is for a read under way.
func (s *requestConn) SetReadDeadline(t time.Time) error {
	if t == past {
		return s.control.SetReadDeadline(t)
	}
	s.until = t
	return nil
}

// SetWriteDeadline bounds how long a client may let the response wait.
func (s *requestConn) SetWriteDeadline(t time.Time) error { return s.control.SetWriteDeadline(t) }

var _ net.Conn = (*requestConn)(nil)
