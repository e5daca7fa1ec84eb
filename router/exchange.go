package router

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// exchange is one request and its response. It is borrowed from a pool for that time.
type exchange struct {
	c       *conn
	head    head // the request's, then the response's
	route   route
	origin  origin
	scratch [maxSID]byte

	out    []byte // the request as it is forwarded, with what was there of its body; borrowed
	cut    int    // where in out routing fields go: before the empty line
	minor  byte   // the client's HTTP/1.minor
	isHead bool
	isGet  bool // nothing happens twice if it is sent twice
	expect bool // the client waits for 100 Continue
	close  bool // the connection ends with the response

	rest      int64 // of a body with Content-Length: not yet taken
	more      bool  // of a chunked body
	chunks    chunks
	upgrading bool // to WebSocket, through this router
	streamed  bool // body bytes were taken that out does not have
	opened    bool // counted as a new session of its backend
	unread    bool // the client is still sending a body that nobody wants
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (x *exchange) reset() {
	x.dropOut()
	x.c, x.route, x.origin, x.chunks = nil, route{}, origin{}, chunks{}
	x.rest, x.more, x.streamed, x.opened, x.upgrading, x.unread = 0, false, false, false, false, false
}

func (x *exchange) dropOut() {
	if x.out != nil {
		bufpool.Put(x.out)
		x.out = nil
	}
}

// serve reads a request, whose first bytes are there, and sees it answered. False: the connection ends.
func (x *exchange) serve(ctx context.Context) bool {
	c := x.c
	n, err := c.readHead(&x.head)
	if err != nil {
		if f := refusalOf(err); f != nil {
			return x.refuse(f.status, f.why)
		}
		return false
	}
	h, b := &x.head, c.bytes()[:n]
	if f := x.understand(b); f != nil {
		return x.refuse(f.status, f.why)
	}
	if c.bound == nil {
		if h.value(b, fieldSiderealKey) != nil {
			return x.door(ctx, n)
		}
		x.origin = c.r.originOf(h, b, c.peer)
	}
	return x.dispatch(ctx, n)
}

var (
	errMethod      = &refusal{405, "method not served"}
	errTarget      = &refusal{400, "malformed request target"}
	errExpectation = &refusal{417, "expectation not understood"}
)

// understand notes what the response will depend on, and refuses what is not for a server.
func (x *exchange) understand(b []byte) *refusal {
	h := &x.head
	method, target := h.method.of(b), h.target.of(b)
	x.minor, x.close = h.minor, h.close || x.c.r.draining.Load()
	x.isHead = string(method) == "HEAD"
	x.isGet = x.isHead || string(method) == "GET"
	switch {
	case string(method) == "CONNECT", string(method) == "TRACE":
		return errMethod
	case target[0] == '/', foldPrefix(target, "http://"), foldPrefix(target, "https://"):
	case string(method) == "OPTIONS" && string(target) == "*":
	default:
		return errTarget
	}
	x.expect = h.expect && h.minor == 1
	if x.expect && !equalFold(h.value(b, fieldExpect), "100-continue") {
		return errExpectation
	}
	return nil
}

// dispatch finds the worker and sends the request there.
func (x *exchange) dispatch(ctx context.Context, n int) bool {
	c, h := x.c, &x.head
	b := c.bytes()[:n]
	x.route = classify(c.r.cfg.Path, h.method.of(b), h.target.of(b), h.upgrade, &x.scratch)
	if x.route.sid != nil && string(x.route.sid) != c.sid {
		c.sid = string(x.route.sid)
	}
	worker := x.choose(ctx)
	if worker == nil {
		return x.refuseNone()
	}
	if h.upgrade {
		return x.upgrade(ctx, worker, n)
	}
	if !x.prepare(n, plain) {
		return false
	}
	return x.forward(ctx, worker)
}

func (x *exchange) refuseNone() bool {
	x.c.r.metrics.upstreamError("none")
	return x.refuse(503, "no worker is ready")
}

// form is what a request is rewritten for.
type form uint8

const (
	plain   form = iota // forwarded: the connection is the router's
	relayed             // an upgrade that is forwarded
	handed              // an upgrade whose connection is passed
)

// prepare writes the request into out and takes head and body bytes that are there from the connection.
func (x *exchange) prepare(n int, f form) bool {
	c := x.c
	x.compose(c.bytes(), n, f)
	c.discard(n)
	var err error
	body := c.bytes()
	switch k := 0; {
	case x.head.chunked:
		k, x.more, err = x.chunks.feed(body)
		x.more = !x.more
		x.takeBody(k)
	case x.head.length > 0:
		k = int(min(int64(len(body)), x.head.length))
		x.rest = x.head.length - int64(k)
		x.takeBody(k)
	}
	if err != nil {
		return x.refuse(errChunk.status, errChunk.why)
	}
	c.release()
	return true
}

func (x *exchange) takeBody(k int) {
	x.out = append(bufpool.Grow(x.out, k), x.c.bytes()[:k]...)
	x.c.discard(k)
}

// compose writes the head at the start of b into out: fields between neighbours are dropped, forwarding fields say what
// is known here, the rest stays byte for byte.
func (x *exchange) compose(b []byte, n int, f form) {
	h, believed := &x.head, x.c.bound != nil
	x.dropOut()
	dst := bufpool.Get(n + min(len(b)-n, largeBuffer) + 512)
	dst = append(append(append(dst, h.method.of(b)...), ' '), h.target.of(b)...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	for i := range h.n {
		if fl := &h.fields[i]; x.forwards(fl, b, believed) {
			dst = appendField(dst, fl, b)
		}
	}
	if h.minor == 0 && h.value(b, fieldHost) == nil {
		dst = append(dst, "Host: \r\n"...) // HTTP/1.1 must have one
	}
	if !believed {
		dst = x.appendForwarded(dst, b)
		if f != handed {
			dst = x.appendOrigin(dst)
		}
	}
	switch f {
	case relayed:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case handed:
		// The connection is the worker's, so it must not outlive a refused upgrade: its next request may be anyone's.
		dst = append(dst, "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"...)
	}
	x.cut = len(dst)
	x.out = append(dst, "\r\n"...)
}

// forwards tells whether a request's field goes to the worker as it is.
func (x *exchange) forwards(f *field, b []byte, believed bool) bool {
	switch f.id {
	case fieldConnection, fieldUpgrade, fieldHop, fieldExpect, fieldSiderealWorker, fieldSiderealKey:
		return false
	case fieldSidereal, fieldForwardedFor:
		return believed
	case fieldForwarded, fieldForwardedProto, fieldForwardedHost:
		return believed || x.c.trusted
	case fieldAcceptEncoding:
		return x.route.kind != kindHandshake // its answer is read
	case fieldOther:
		return !x.head.named || !x.head.isNamed(b, f.name.of(b))
	}
	return true
}

func appendField(dst []byte, f *field, b []byte) []byte {
	dst = append(append(dst, f.name.of(b)...), ": "...)
	return append(append(dst, f.value.of(b)...), "\r\n"...)
}

// verdict is how an attempt at a worker ended.
type verdict uint8

const (
	keepOpen verdict = iota // answered
	closeIt                 // answered, or nobody is there to be answered
	unsent                  // nothing was written: may be tried again
	ownerGone
	broken // no answer came
)

// forward sends out, and the rest of the body, to the worker and its answer to the client. A request is tried again at the
// same worker once, if nothing of it was written; elsewhere only if the worker is dead, or if no session is meant.
func (x *exchange) forward(ctx context.Context, b *backend) bool {
	fresh := false
	for range 4 {
		u, err := b.get(ctx, fresh)
		if err == nil {
			switch v := x.via(ctx, u); v {
			case keepOpen, closeIt:
				return v == keepOpen
			case unsent:
				if !fresh {
					fresh = true
					continue
				}
				if err = b.check(ctx); err == nil {
					err = errBusy
				}
			case ownerGone:
				err = errGone
			case broken:
				x.settle(b, false)
				return x.refuse(502, "the worker did not answer")
			}
		}
		x.settle(b, false)
		switch {
		case errors.Is(err, errGone):
			b = x.elsewhere(b)
		case x.route.sid == nil && x.c.bound == nil:
			b = x.another(b) // nothing was written, and any worker will do
		default:
			return x.refuse(503, "the worker does not answer at the moment")
		}
		if b == nil {
			return x.refuseGone()
		}
		fresh = false
	}
	return x.refuseNone()
}

func (x *exchange) refuseGone() bool {
	if x.c.bound != nil {
		return x.refuse(421, "that worker is not here")
	}
	return x.refuseNone()
}

// via makes one attempt over u, which it closes or puts back.
func (x *exchange) via(ctx context.Context, u *upstream) verdict {
	c := x.c
	out, ok := x.addressed(ctx, u)
	if !ok {
		u.close()
		return broken
	}
	written, ok, err := x.send(u, out)
	if u.remote {
		bufpool.Put(out)
	}
	switch {
	case !ok:
		c.awaited()
		u.close()
		return closeIt
	case err != nil:
		return x.failed(ctx, u, written, err)
	}
	u.greet = false
	return x.answer(ctx, u)
}

// send writes out and the rest of the body, and reads the first bytes of the response. False: the client left, or was
// refused for its body.
func (x *exchange) send(u *upstream, out []byte) (written int, ok bool, err error) {
	if !x.c.await(u, x.patience()) {
		return 0, false, nil
	}
	if x.rest == 0 && !x.more {
		written, err = u.exchange(out)
		return written, true, err
	}
	if written, err = u.write(out); err != nil {
		return written, true, err
	}
	if !x.sendBody(u) {
		return written, false, nil
	}
	return written, true, u.fill()
}

// addressed is out for u: a worker of another host is named, and its door shown the key. Then it is borrowed.
func (x *exchange) addressed(ctx context.Context, u *upstream) ([]byte, bool) {
	if !u.remote {
		return x.out, true
	}
	key := ""
	if u.greet {
		var err error
		if key, err = x.c.r.cfg.Directory.Secret(ctx); err != nil {
			x.c.r.metrics.upstreamError("key")
			return nil, false
		}
	}
	dst := append(bufpool.Get(len(x.out)+len(u.b.id)+len(key)+64), x.out[:x.cut]...)
	return append(appendRouting(dst, u.b.id, key), x.out[x.cut:]...), true
}

// patience is what the client has to do for the worker to be let off.
func (x *exchange) patience() leave {
	switch {
	case x.route.kind == kindPoll:
		return halfClosed
	case x.isGet && !x.upgrading:
		return hungUp
	}
	return never
}

// failed ends an attempt that had no answer.
func (x *exchange) failed(ctx context.Context, u *upstream, written int, err error) verdict {
	there := x.c.awaited()
	u.close()
	switch {
	case !there:
		return closeIt
	case written == 0:
		return unsent
	}
	x.c.r.metrics.upstreamError("read")
	// The dead answer nothing, so a session's request becomes one of an unknown sid. What the app was asked to do may have
	// been done.
	if (x.route.sid != nil || x.isGet) && errors.Is(u.b.check(ctx), errGone) {
		return ownerGone
	}
	return broken
}

var continued = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// sendBody sends the rest of the request's body. False: the client left or broke the rules. A worker that takes no more
// has an answer, so that ends the sending too.
func (x *exchange) sendBody(u *upstream) bool {
	c := x.c
	if x.expect {
		x.expect = false
		if _, err := c.write(continued); err != nil {
			return false
		}
	}
	x.streamed = true
	c.want = smallBuffer
	if x.more || x.rest > smallBuffer {
		c.want = largeBuffer
	}
	for x.rest > 0 || x.more {
		if len(c.bytes()) == 0 {
			c.release()
			c.c.SetReadDeadline(time.Now().Add(c.r.cfg.BodyTimeout))
			if err := c.fill(); err != nil {
				return isTimeout(err) && x.refuse(errSlow.status, errSlow.why)
			}
		}
		b := c.bytes()
		k := int(min(int64(len(b)), x.rest))
		if x.more {
			var done bool
			var err error
			if k, done, err = x.chunks.feed(b); err != nil {
				return x.refuse(errChunk.status, errChunk.why)
			}
			x.more = !done
		} else {
			x.rest -= int64(k)
		}
		if _, err := u.write(b[:k]); err != nil {
			x.close, x.unread = true, true
			break
		}
		c.discard(k)
	}
	c.want = smallBuffer
	c.release()
	return true
}

// elsewhere gives up on a dead worker and names another: for a session's request any, which answers that the sid is
// unknown. Nil: there is none.
func (x *exchange) elsewhere(dead *backend) *backend {
	r := x.c.r
	r.workerGone(dead)
	if x.c.bound != nil {
		return nil
	}
	if x.streamed {
		x.withoutBody()
	}
	if x.route.sid != nil {
		r.metrics.decided(decisionUnknown)
	}
	return x.another(dead)
}

// another names a worker but that one; nil: no other is ready.
func (x *exchange) another(not *backend) *backend {
	if x.route.sid == nil && (x.route.kind == kindHandshake || x.route.kind == kindUpgrade) {
		b := x.c.r.balance(not)
		x.opened = b != nil
		return b
	}
	return x.c.r.anyWorker(not)
}

// withoutBody makes out the same request with an empty body: what was sent to the dead is not here any more, and the
// answer to an unknown sid does not depend on it.
func (x *exchange) withoutBody() {
	var h head
	n, err := h.parseRequest(x.out, 0)
	if err != nil {
		return // never: we wrote it
	}
	dst := append(bufpool.Get(n+64), x.out[:bytes.IndexByte(x.out, '\n')+1]...)
	for i := range h.n {
		if f := &h.fields[i]; f.id != fieldContentLength && f.id != fieldTransferEncoding {
			dst = appendField(dst, f, x.out)
		}
	}
	dst = append(dst, "Content-Length: 0\r\n"...)
	x.dropOut()
	x.cut = len(dst)
	x.out = append(dst, "\r\n"...)
	x.rest, x.more = 0, false
}
