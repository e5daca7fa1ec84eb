package router

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

const (
	// A refused client may still be sending. Closing at once would reset the connection and take
	// the answer with it, so this much is read and thrown away, for this long (RFC 9112, section
	// 9.6).
	lingerBytes = 256 << 10
	lingerTime  = time.Second
)

// refuse answers in the router's own name and ends the connection. It returns false for that.
func (x *exchange) refuse(f *http1.Refusal) bool { return x.refuseWith(f, "") }

// refuseWith is refuse with one more field, which ends with CR LF.
func (x *exchange) refuseWith(f *http1.Refusal, extra string) bool {
	c := x.c
	c.Take()
	c.r.metrics.refused.WithLabelValues(strconv.Itoa(f.Status)).Inc()
	x.record.status, x.record.reason = f.Status, f.Why
	b := appendAnswer(bufpool.Get(512), f.Status, f.Why, extra+string(x.appendDebug(nil)))
	if x.req.isHead {
		b = b[:len(b)-len(f.Why)-1] // the client would take a body for the beginning of its next answer
	}
	_, err := c.Write(b)
	bufpool.Put(b)
	if err == nil {
		c.linger()
	}
	return false
}

// goneField tells a door's 421 from one of the worker's app, on a connection that carries both.
const goneField = "Sidereal-Worker: gone\r\n"

// refuseGone answers a request whose worker is dead, and that no other worker takes.
func (x *exchange) refuseGone() bool {
	if x.c.bound != nil {
		return x.refuseWith(errNotHere, goneField)
	}
	return x.refuseNone()
}

// answerOrphan answers a post for a session whose worker has left, as the worker did as long as it
// was there: with Engine.IO's `ok`.
func (x *exchange) answerOrphan() bool {
	c := x.c
	c.Take()
	x.decided(decisionUnknown)
	x.record.status, x.record.reason = http.StatusOK, "session has moved"
	b := append(bufpool.Get(512), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"...)
	var h http1.Head
	if _, err := h.ParseRequest(x.out.text, 0); err == nil {
		for i := range h.Fields() {
			if f := &h.Fields()[i]; f.ID == http1.FieldOrigin { // that page may know that a session is over
				b = append(append(b, "Access-Control-Allow-Origin: "...), f.Value.Of(x.out.text)...)
				b = append(b, "\r\nAccess-Control-Allow-Credentials: true\r\n"...)
			}
		}
	}
	b = append(append(b, x.appendDebug(nil)...), "Connection: close\r\nContent-Length: 2\r\n\r\n"...)
	if !x.req.isHead {
		b = append(b, "ok"...)
	}
	_, err := c.Write(b)
	bufpool.Put(b)
	if err == nil {
		c.linger()
	}
	return false
}

// appendAnswer writes a whole response. It says nothing that the client's own request would not.
func appendAnswer(dst []byte, status int, why, extra string) []byte {
	dst = strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), "\r\nContent-Type: text/plain; charset=utf-8\r\n"...)
	if status == http.StatusServiceUnavailable {
		dst = append(dst, "Retry-After: 1\r\n"...)
	}
	dst = append(append(dst, extra...), "Connection: close\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(why)+1), 10)
	return append(append(append(dst, "\r\n\r\n"...), why...), '\n')
}

// linger ends our direction and waits for the client to end its own.
func (c *conn) linger() {
	cw, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || cw.CloseWrite() != nil {
		return
	}
	c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
	for n := 0; n < lingerBytes; {
		n += len(c.Bytes())
		c.Drop()
		if c.Fill() != nil {
			return
		}
	}
}
