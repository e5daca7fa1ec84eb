package router

import (
	"io"
	"sync/atomic"
	"time"
)

// halfOpen is how long a relay outlives the end of one direction. A WebSocket's ends follow each other at once.
const halfOpen = 30 * time.Second

// relay carries a WebSocket's bytes between the client and u until both directions have ended, one broke, or the router
// stops. What u has read begins with the 101. It returns at once: each direction is a new goroutine, with a stack half as
// large as one that has served requests, and the later one to end closes both connections.
func (c *conn) relay(u *upstream) {
	c.state.Store(uint32(connRelay))
	m := c.r.metrics
	m.proxied.Dec()
	m.relayed.Inc()
	m.transferred.WithLabelValues("relayed").Inc()
	u.b.relays(+1)
	c.c.SetReadDeadline(time.Time{})
	if c.watched != 0 {
		c.r.watcher.remove(c) // its end is read now
	}
	var ended atomic.Bool
	direction := func(to, from *stream) {
		carry(to, from)
		if ended.CompareAndSwap(false, true) {
			return
		}
		m.relayed.Dec()
		m.proxied.Inc()
		u.b.relays(-1)
		c.awaited()
		u.close()
		c.end()
	}
	c.r.serving.Go(func() { direction(&c.stream, &u.stream) })
	c.r.serving.Go(func() { direction(&u.stream, &c.stream) })
}

// carry copies one direction. Its end is passed on; if it breaks, the other direction is broken off too.
func carry(to, from *stream) {
	for {
		if len(from.bytes()) == 0 {
			from.release()
			if err := from.fill(); err != nil {
				if cw, ok := to.c.(interface{ CloseWrite() error }); ok && err == io.EOF && cw.CloseWrite() == nil {
					to.c.SetReadDeadline(time.Now().Add(halfOpen))
				} else {
					to.c.SetDeadline(past)
				}
				return
			}
		}
		p := from.bytes()
		if _, err := to.write(p); err != nil {
			from.c.SetDeadline(past)
			to.c.SetDeadline(past)
			return
		}
		from.want = smallBuffer
		if len(p) >= smallBuffer {
			from.want = largeBuffer // more than a small one holds is on its way
		}
		from.discard(len(p))
	}
}
