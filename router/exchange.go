package router

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// exchange is one request on a connection and everything until it is answered: the request, which
// is what the client asks; the route, which is the router's decision; the message that goes to the
// worker; attempts to send it; and a reply. It is borrowed from a pool for that time.
type exchange struct {
	c      *conn
	req    request
	route  route
	out    message
	record record
	head   int  // bytes of the request's head that are still in the connection's buffer
	close  bool // the connection ends with the reply
	unread bool // the client is still sending a body that nobody wants
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// begin opens the exchange for a request on c, whose first bytes are there.
func begin(c *conn) *exchange {
	x := exchanges.Get().(*exchange)
	x.c = c
	x.record.begin(c)
	return x
}

// end gives back everything that the exchange holds.
func (x *exchange) end(ctx context.Context) {
	x.record.write(ctx, x)
	x.decide()
	x.out.release()
	x.route.leaveGate()
	if x.route.admitted && x.c.relaying == nil {
		x.c.r.budget.unreserve(x.c.parent)
	}
	*x = exchange{record: record{text: x.record.text[:0]}}
	exchanges.Put(x)
}

// serve reads the request and sees it answered. It returns false if the connection ends.
func (x *exchange) serve(ctx context.Context) bool {
	c, q := x.c, &x.req
	n, err := c.readHead(&q.head)
	if err != nil || !q.head.PassesUntouched(c.Bytes()) {
		c.Take()
	}
	if err != nil {
		if f := refusalOf(err); f != nil {
			q.isHead = bytes.HasPrefix(c.Bytes(), []byte("HEAD ")) // as far as a refused head can be read
			return x.refuse(f)
		}
		return false
	}
	c.r.conns.heard(c)
	b := c.Bytes()[:n]
	x.record.note(&q.head, b)
	x.close = q.head.Close || c.last || c.r.draining.Load()
	if f := q.understand(b); f != nil {
		return x.refuse(f)
	}
	if c.redirects {
		return x.redirect(b)
	}
	if c.bound == nil {
		if q.head.Value(b, http1.FieldSiderealKey) != nil {
			return x.door(ctx, n)
		}
		if f := c.misplaced(); f != nil {
			return x.refuse(f)
		}
		q.from = c.r.proxies.clientOf(&q.head, b, c.peer.client)
	}
	return x.dispatch(ctx, n)
}

// dispatch finds the worker and sends the request there.
func (x *exchange) dispatch(ctx context.Context, n int) bool {
	c, q := x.c, &x.req
	b := c.Bytes()[:n]
	x.head = n
	q.classify(b, c.r.cfg.Path, c.sid)
	if q.sid != "" {
		c.sid = q.sid
	}
	if f := x.forbidden(b); f != nil {
		return x.refuse(f)
	}
	if c.bound != nil {
		x.route.worker = c.bound
	} else {
		x.route = c.r.route(ctx, q)
		x.decided(x.route.decision)
	}
	switch w := x.route.worker; {
	case x.route.orphan:
		return x.prepare(plain) && x.answerOrphan()
	case w == nil:
		return x.refuseNone()
	case w.busy() && c.bound == nil:
		x.route.settle(false)
		return x.turnAway(byRequests)
	}
	if q.head.Upgrade {
		return x.upgrade(ctx)
	}
	if l := x.admit(); l != unlimited {
		x.route.settle(false)
		return x.turnAway(l)
	}
	return x.prepare(plain) && x.forward(ctx)
}

// forbidden returns what is wrong with a request that no other router has let in before.
func (x *exchange) forbidden(b []byte) *http1.Refusal {
	switch {
	case x.c.bound != nil:
		return nil
	case x.c.r.origins.forbid(&x.req, b):
		return errOrigin
	case x.mostBody() > 0 && x.req.head.Length > x.mostBody():
		return errBody
	}
	return nil
}

// mostBody returns the largest number of bytes that the request's body may have. Zero: any.
func (x *exchange) mostBody() int64 {
	if x.c.bound != nil {
		return 0
	}
	return x.c.r.cfg.MaxBodyBytes
}

// prepare writes the message and takes the head from the connection, with the bytes of the body
// that are there. It returns false after it has refused the body.
func (x *exchange) prepare(f form) bool {
	c := x.c
	x.out.compose(c, &x.req, x.head, f)
	c.Discard(x.head)
	x.head = 0
	if f := x.out.takeBody(c, &x.req.head, x.mostBody()); f != nil {
		return x.refuse(f)
	}
	c.Release()
	return true
}

// decided counts how the worker was found.
func (x *exchange) decided(decision string) {
	if decision != "" {
		x.c.r.metrics.decided(decision)
		x.record.decision = decision
	}
}

var (
	errNoWorker   = &http1.Refusal{Status: http.StatusServiceUnavailable, Why: "no worker is ready"}
	errBusyWorker = &http1.Refusal{Status: http.StatusServiceUnavailable, Why: "the worker does not answer at the moment"}
	errNoAnswer   = &http1.Refusal{Status: http.StatusBadGateway, Why: "the worker did not answer"}
	errNotHere    = &http1.Refusal{Status: http.StatusMisdirectedRequest, Why: "that worker is not here"}
)

// refuseNone answers a request that no worker takes.
func (x *exchange) refuseNone() bool {
	if x.route.limited != unlimited {
		return x.turnAway(x.route.limited)
	}
	x.c.r.metrics.upstreamError("none")
	return x.refuse(errNoWorker)
}
