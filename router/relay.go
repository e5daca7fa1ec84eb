package router

import (
	"io"
	"sync"
	"time"
)

// halfOpen is how long a relay outlives the end of one direction. A WebSocket's ends follow each other at once.
const halfOpen = 30 * time.Second

// relay carries a WebSocket's bytes both ways until both directions have ended, one broke, or the router stops. The 101
// is the first n bytes of u.
func (x *exchange) relay(u *upstream, n int) verdict {
	c := x.c
	c.state.Store(uint32(connRelay))
	m := c.r.metrics
	m.proxied.Dec()
	m.relayed.Inc()
	m.transferred.WithLabelValues("relayed").Inc()
	defer func() {
		m.relayed.Dec()
		m.proxied.Inc()
		c.awaited()
		u.close()
	}()
	x.dropOut()
	x.settle(u.b, true)
	c.c.SetReadDeadline(time.Time{})
	if _, err := c.write(u.bytes()); err != nil {
		return closeIt
	}
	u.drop()
	var down sync.WaitGroup
	down.Go(func() { carry(&c.stream, &u.stream) })
	carry(&u.stream, &c.stream)
	down.Wait()
	return closeIt
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
