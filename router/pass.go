package router

import (
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// upgrade sends a WebSocket to its worker: the connection itself, where the worker is on this host; bytes elsewhere, and
// where the handoff socket cannot take it.
func (x *exchange) upgrade(ctx context.Context, b *backend, n int) bool {
	for range 3 {
		if x.c.tcp == nil || x.c.bound != nil {
			break
		}
		s, err := b.link(ctx)
		if err == nil && s != nil {
			if other := x.rather(b, s); other != nil {
				b = other
				continue
			}
			if err = x.pass(s, n); err == nil {
				x.account.worker, x.account.passed = b.id, true
				return false
			}
			if errors.Is(err, handoff.ErrDead) {
				err = b.lost(ctx, s)
			}
		}
		if !errors.Is(err, errGone) {
			break
		}
		x.settle(b, false)
		if b = x.elsewhere(b); b == nil {
			return x.refuseNone()
		}
	}
	x.upgrading = true
	x.c.Take()
	x.compose(x.c.Bytes(), n, relayed)
	x.headLen = 0
	x.c.Discard(n) // what follows is the worker's, but only once it has agreed
	return x.forward(ctx, b)
}

// rather names another worker for a new session whose worker does not take what it was passed, as a stopped process. Nil:
// there is no need, or no other. Sessions of its own have nowhere else to go.
func (x *exchange) rather(b *backend, s *handoff.Sender) *backend {
	now := time.Now()
	if x.handshake == nil || x.moved || s.Behind(now) < silence || len(x.c.r.readyBut(b)) == 0 {
		return nil
	}
	x.moved = true
	b.gate.stalled.Store(now.UnixNano())
	x.c.r.metrics.upstreamError("stalled")
	x.settle(b, false)
	other := x.another(b)
	if other == nil { // all others are full
		x.limited, x.opened = unlimited, false
	}
	return other
}

// pass gives the connection away. After nil the router's copy is closed and nothing else is left of it here.
func (x *exchange) pass(s *handoff.Sender, n int) error {
	c := x.c
	m := handoff.Meta{Kind: handoff.Client, Scheme: x.origin.scheme()}
	if x.origin.addr.IsValid() {
		m.ClientAddr = x.origin.addr.String()
	}
	if s.Untouched() {
		return x.passUntouched(s, m)
	}
	c.Take()
	x.compose(c.Bytes(), n, handed)
	x.out = append(bufpool.Grow(x.out, len(c.Bytes())-n), c.Bytes()[n:]...)
	m.Head = x.out
	return c.pass(s, m)
}

// passUntouched gives a connection away that was only looked at, with everything still in the kernel. There may be no
// such worker on this host, so routers look before they read only once they have met one: the first upgrade that goes to
// one without another request before it is relayed.
func (x *exchange) passUntouched(s *handoff.Sender, m handoff.Meta) error {
	c := x.c
	if !c.Peeked() {
		return handoff.ErrTouched
	}
	err := c.pass(s, m)
	if err == nil {
		c.Drop() // the worker takes it from the kernel
	}
	return err
}

func (c *conn) pass(s *handoff.Sender, m handoff.Meta) error {
	if c.watched != 0 {
		c.r.watcher.remove(c)
	}
	if err := s.Pass(c.tcp, m); err != nil {
		if errors.Is(err, handoff.ErrFull) {
			c.r.metrics.upstreamError("full")
		}
		return err
	}
	c.r.metrics.transferred.WithLabelValues("passed").Inc()
	return nil
}

// door serves the first request of a connection that shows a key: another host's router wants one of our workers, and
// gets it, for good. There is no way on from here: what is not on this host is refused.
func (x *exchange) door(ctx context.Context, n int) bool {
	c, h := x.c, &x.head
	b := c.Bytes()[:n]
	if c.served > 0 {
		return x.refuse(400, "not the connection's first request")
	}
	if _, err := c.r.cfg.Directory.Secret(ctx); err != nil {
		return x.refuse(503, "the key is not known yet")
	}
	if !c.r.cfg.Directory.Accepts(ctx, string(h.Value(b, http1.FieldSiderealKey))) {
		return x.refuseWith(403, "wrong key", "Sidereal-Key: refused\r\n")
	}
	id := string(h.Value(b, http1.FieldSiderealWorker))
	if !validID(id) || c.r.cfg.RuntimeDir == "" {
		return x.refuseWith(421, "that worker is not here", goneField)
	}
	x.decided(decisionDoor)
	worker := c.r.backendOf(&directory.Worker{ID: id, Host: c.r.cfg.HostName, Addr: c.r.cfg.AdvertiseAddr})
	s, err := worker.link(ctx)
	if err == nil && s != nil && c.tcp != nil {
		if err = x.passPeer(s, n); err == nil {
			x.account.worker, x.account.passed = id, true
			return false
		}
		if errors.Is(err, handoff.ErrDead) {
			err = worker.lost(ctx, s)
		} else {
			err = nil // it lives, only the connection could not be passed
		}
	}
	switch {
	case errors.Is(err, errGone), err == nil && s == nil:
		return x.refuseWith(421, "that worker is not here", goneField)
	case err != nil:
		return x.refuse(503, "the worker does not answer at the moment")
	}
	c.bound = worker
	return x.dispatch(ctx, n)
}

// passPeer gives a router's connection away: as it is, but for the key.
func (x *exchange) passPeer(s *handoff.Sender, n int) error {
	c, h, b := x.c, &x.head, x.c.Bytes()
	x.dropOut()
	dst := append(append(bufpool.Get(len(b)), h.Method.Of(b)...), ' ')
	dst = append(append(dst, h.Target.Of(b)...), " HTTP/1."...)
	dst = append(dst, '0'+h.Minor, '\r', '\n')
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID != http1.FieldSiderealKey {
			dst = appendField(dst, f, b)
		}
	}
	dst = append(dst, "\r\n"...)
	x.out = append(bufpool.Grow(dst, len(b)-n), b[n:]...)
	return c.pass(s, handoff.Meta{Kind: handoff.Peer, ClientAddr: c.peer.addr.String(), Scheme: "http", Head: x.out})
}
