package router

import (
	"net/http"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

const (
	// A refused client may still be sending. Closing at once would reset the connection and take the answer with it, so
	// this much is read and thrown away, for this long (RFC 9112, section 9.6).
	lingerBytes = 256 << 10
	lingerTime  = time.Second
)

// refuse answers in the router's own name and ends the connection; it returns false for that.
func (x *exchange) refuse(status int, why string) bool { return x.refuseWith(status, why, "") }

// refuseWith is refuse with one more field, ended by CR LF.
func (x *exchange) refuseWith(status int, why, extra string) bool {
	c := x.c
	c.Take()
	c.r.metrics.refused.WithLabelValues(strconv.Itoa(status)).Inc()
	x.account.status, x.account.reason = status, why
	b := appendAnswer(bufpool.Get(512), status, why, extra+string(x.appendDebug(nil)))
	if x.isHead {
		b = b[:len(b)-len(why)-1] // the client would take a body for the beginning of its next answer
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
