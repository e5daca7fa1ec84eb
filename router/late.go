package router

import (
	"net/http"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// isLate tells whether a request brings packets to a session of a worker that leaves, or has just left. Its client may have sent
// them before it heard of the session's end, and would take an error for one of its own; nobody can do anything with them.
func (x *exchange) isLate(worker string) bool {
	return x.route.kind == kindPost && x.c.bound == nil && x.c.r.cfg.Directory.Workers().Leaves(worker)
}

// answerLate answers such a request, which is in out, as its worker did as long as it was there: Engine.IO's `ok`.
func (x *exchange) answerLate() bool {
	c := x.c
	c.Take()
	x.decided(decisionUnknown)
	x.account.status, x.account.reason = http.StatusOK, "session has moved"
	b := append(bufpool.Get(512), "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"...)
	var h http1.Head
	if _, err := h.ParseRequest(x.out, 0); err == nil {
		for i := range h.Fields() {
			if f := &h.Fields()[i]; f.ID == http1.FieldOrigin { // whose page may know that a session is over
				b = append(append(b, "Access-Control-Allow-Origin: "...), f.Value.Of(x.out)...)
				b = append(b, "\r\nAccess-Control-Allow-Credentials: true\r\n"...)
			}
		}
	}
	b = append(append(b, x.appendDebug(nil)...), "Connection: close\r\nContent-Length: 2\r\n\r\n"...)
	if !x.isHead {
		b = append(b, "ok"...)
	}
	_, err := c.Write(b)
	bufpool.Put(b)
	if err == nil {
		c.linger()
	}
	return false
}
