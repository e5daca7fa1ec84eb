package router

import (
	"context"
	"errors"
	"net/http"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// upgrade sends a WebSocket to its worker. If the worker is on this host, it gets the connection
// itself. Otherwise, or if the handoff socket can't take the connection, the router relays bytes.
func (x *exchange) upgrade(ctx context.Context) bool {
	for range 3 {
		if x.c.tcp == nil || x.c.bound != nil {
			break
		}
		w := x.route.worker
		s, err := w.link(ctx)
		if err == nil && s != nil {
			if x.avoidStopped(s) {
				continue
			}
			if err = x.pass(s); err == nil {
				x.record.worker, x.record.passed, x.record.tries = w.id, true, x.record.tries+1
				return false
			}
			if errors.Is(err, handoff.ErrDead) {
				err = w.lost(ctx, s)
			}
		}
		if !errors.Is(err, errGone) {
			break
		}
		if !x.reroute(err) {
			return x.refuseNone()
		}
	}
	x.c.Take()
	x.out.compose(x.c, &x.req, x.head, relayed)
	x.c.Discard(x.head) // the worker gets what follows, but only once it has agreed
	x.head = 0
	return x.forward(ctx)
}

// pass gives the connection away. If it returns nil, the router closes its copy, and nothing else
// of the connection is left here.
func (x *exchange) pass(s *handoff.Sender) error {
	c, from := x.c, x.req.from
	m := handoff.Meta{Kind: handoff.Client, Scheme: from.scheme()}
	if from.addr.IsValid() {
		m.ClientAddr = from.addr.String()
	}
	if s.Untouched() {
		return c.passUntouched(s, m)
	}
	c.Take()
	x.out.compose(c, &x.req, x.head, handed)
	rest := c.Bytes()[x.head:]
	x.out.text = append(bufpool.Grow(x.out.text, len(rest)), rest...)
	m.Head = x.out.text
	return c.pass(s, m)
}

// passUntouched gives a connection away that was only looked at, with everything still in the
// kernel. There may be no such worker on this host, so routers look before they read only once they
// have met one: the first upgrade that goes to one without another request before it is relayed.
func (c *conn) passUntouched(s *handoff.Sender, m handoff.Meta) error {
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

// door serves the first request of a connection that shows a key: another host's router wants one
// of our workers, and gets it for good. The request goes no further than this host.
func (x *exchange) door(ctx context.Context, n int) bool {
	c, h := x.c, &x.req.head
	b := c.Bytes()[:n]
	if c.served > 0 {
		return x.refuse(errLateKey)
	}
	if _, err := c.r.cfg.Directory.Secret(ctx); err != nil {
		return x.refuse(errNoSecret)
	}
	if !c.r.cfg.Directory.Accepts(ctx, string(h.Value(b, http1.FieldSiderealKey))) {
		return x.refuseWith(errWrongKey, "Sidereal-Key: refused\r\n")
	}
	id := string(h.Value(b, http1.FieldSiderealWorker))
	if !validID(id) || c.r.cfg.RuntimeDir == "" {
		return x.refuseWith(errNotHere, goneField)
	}
	x.decided(decisionDoor)
	w := c.r.workers.of(&directory.Worker{ID: id, Host: c.r.cfg.HostName, Addr: c.r.cfg.AdvertiseAddr})
	s, err := w.link(ctx)
	if err == nil && s != nil && c.tcp != nil {
		if err = x.passPeer(s, n); err == nil {
			x.record.worker, x.record.passed = id, true
			return false
		}
		if errors.Is(err, handoff.ErrDead) {
			err = w.lost(ctx, s)
		} else {
			err = nil // it lives, only the connection could not be passed
		}
	}
	switch {
	case errors.Is(err, errGone), err == nil && s == nil:
		return x.refuseWith(errNotHere, goneField)
	case err != nil:
		return x.refuse(errBusyWorker)
	}
	c.bound = w
	return x.dispatch(ctx, n)
}

var (
	errLateKey  = &http1.Refusal{Status: http.StatusBadRequest, Why: "not the connection's first request"}
	errNoSecret = &http1.Refusal{Status: http.StatusServiceUnavailable, Why: "the key is not known yet"}
	errWrongKey = &http1.Refusal{Status: http.StatusForbidden, Why: "wrong key"}
)

// passPeer gives a router's connection away as it is, without the key.
func (x *exchange) passPeer(s *handoff.Sender, n int) error {
	c, h, b := x.c, &x.req.head, x.c.Bytes()
	x.out.release()
	dst := append(append(bufpool.Get(len(b)), h.Method.Of(b)...), ' ')
	dst = append(append(dst, h.Target.Of(b)...), " HTTP/1."...)
	dst = append(dst, '0'+h.Minor, '\r', '\n')
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID != http1.FieldSiderealKey {
			dst = appendField(dst, f, b)
		}
	}
	dst = append(dst, "\r\n"...)
	x.out.text = append(bufpool.Grow(dst, len(b)-n), b[n:]...)
	return c.pass(s, handoff.Meta{Kind: handoff.Peer, ClientAddr: c.peer.addr.String(), Scheme: "http", Head: x.out.text})
}
