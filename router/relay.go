package router

import (
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/relay"
)

// relayedSocket is a WebSocket whose bytes the router copies between a client and a worker.
type relayedSocket struct {
	relay.Pair
	r       *Router
	w       *worker
	open    bool   // the worker's connection counts among the router's descriptors
	session bool   // of an upstream, which doesn't report its sessions
	counted string // the session, as Upstream.Connected has it
}

// relay makes c and u one. What u has read begins with the 101. It returns at once, and nobody uses
// either afterwards.
func (c *conn) relay(u *workerConn) {
	r, m := c.r, c.r.metrics
	m.relayed.Inc()
	m.transferred.WithLabelValues("relayed").Inc()
	c.Conn.SetReadDeadline(time.Time{})
	if c.watched != 0 {
		r.watcher.remove(c) // its end is read now
	}
	p := &relayedSocket{r: r, w: u.w, open: u.opened, session: u.session && u.w.up != nil}
	if p.session {
		p.counted = u.w.up.Connected(u.sid)
	}
	if r.conns.replace(c, p) || c.wait.isCut() {
		p.Cut()
	}
	c.wait.end()
	r.pairs.Join(&p.Pair, &c.Stream, &u.Stream, p.end)
}

// end ends the accounting of a relay, whose connections are closed.
func (p *relayedSocket) end() {
	r := p.r
	r.metrics.relayed.Dec()
	if p.session {
		p.w.up.Disconnected(p.counted)
	}
	if p.open {
		r.budget.open.Add(-1)
	}
	r.budget.unreserve(nil)
	r.conns.forgetRelay(p)
}
