package router

import (
	"bytes"
	"context"
	"strings"
	"sync"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// exchange is one request and its response. It is borrowed from a pool for that time.
type exchange struct {
	c       *conn
	head    http1.Head // the request's, then the response's
	route   route
	origin  origin
	scratch sidScratch

	out    []byte // the request as it is forwarded, with what was there of its body; borrowed
	cut    int    // where in out routing fields go: before the empty line
	minor  byte   // the client's HTTP/1.minor
	isHead bool
	isGet  bool // nothing happens twice if it is sent twice
	expect bool // the client waits for 100 Continue
	close  bool // the connection ends with the response

	rest      int64 // of a body with Content-Length: not yet taken
	more      bool  // of a chunked body
	chunks    http1.Chunks
	upgrading bool     // to WebSocket, through this router
	streamed  bool     // body bytes were taken that out does not have
	opened    bool     // counted as a new session of its backend
	handshake *backend // whose gate the request is in
	limited   limit    // what forbids the request
	admitted  bool     // to the room
	moved     bool     // from a worker that did not answer
	late      bool     // for a session whose worker has just left
	headLen   int      // of the request, while the head is in the connection's buffer
	sending   *upload  // of the rest of the body; nil: there is none, or it has ended
	unread    bool     // the client is still sending a body that nobody wants
	taken     int64    // bytes of a chunked body
	account   account
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (x *exchange) reset() {
	x.dropOut()
	x.leave()
	if x.admitted && x.c.relaying == nil {
		x.c.r.leaveRoom(x.c.parent)
	}
	x.admitted = false
	x.limited, x.moved, x.late, x.headLen = unlimited, false, false, 0
	x.c, x.route, x.origin, x.chunks = nil, route{}, origin{}, http1.Chunks{}
	x.taken = 0
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
	if err != nil || !x.head.PassesUntouched(c.Bytes()) {
		c.Take()
	}
	if err != nil {
		if f := refusalOf(err); f != nil {
			x.isHead = bytes.HasPrefix(c.Bytes(), []byte("HEAD ")) // as far as a head can be read that is refused
			return x.refuse(f.Status, f.Why)
		}
		return false
	}
	c.heard()
	h, b := &x.head, c.Bytes()[:n]
	x.note(b)
	if f := x.understand(b); f != nil {
		return x.refuse(f.Status, f.Why)
	}
	if c.redirects {
		return x.redirect(b)
	}
	if c.bound == nil {
		if h.Value(b, http1.FieldSiderealKey) != nil {
			return x.door(ctx, n)
		}
		if f := c.misplaced(); f != nil {
			return x.refuse(f.Status, f.Why)
		}
		x.origin = c.r.originOf(h, b, c.peer)
	}
	return x.dispatch(ctx, n)
}

var (
	errMethod      = &http1.Refusal{Status: 405, Why: "method not served"}
	errTarget      = &http1.Refusal{Status: 400, Why: "malformed request target"}
	errExpectation = &http1.Refusal{Status: 417, Why: "expectation not understood"}
)

// understand notes what the response will depend on, and refuses what is not for a server.
func (x *exchange) understand(b []byte) *http1.Refusal {
	h := &x.head
	method, target := h.Method.Of(b), h.Target.Of(b)
	x.minor, x.close = h.Minor, h.Close || x.c.last || x.c.r.draining.Load()
	x.isHead = string(method) == "HEAD"
	x.isGet = x.isHead || string(method) == "GET"
	switch {
	case string(method) == "CONNECT", string(method) == "TRACE":
		return errMethod
	case target[0] == '/':
	case (http1.HasPrefixFold(target, "http://") || http1.HasPrefixFold(target, "https://")) && h.OriginForm(b):
	case string(method) == "OPTIONS" && string(target) == "*":
	default:
		return errTarget
	}
	x.expect = h.Expect && h.Minor == 1
	if x.expect && !http1.EqualFold(h.Value(b, http1.FieldExpect), "100-continue") {
		return errExpectation
	}
	return nil
}

// dispatch finds the worker and sends the request there.
func (x *exchange) dispatch(ctx context.Context, n int) bool {
	c, h := x.c, &x.head
	b := c.Bytes()[:n]
	x.headLen = n
	x.route = classify(c.r.cfg.Path, h.Method.Of(b), h.Target.Of(b), h.Upgrade, &x.scratch)
	if x.route.sid != "" {
		if x.route.sid != c.sid {
			c.sid = strings.Clone(x.route.sid)
		}
		x.route.sid = c.sid
	}
	if f := x.forbidden(b); f != nil {
		return x.refuse(f.Status, f.Why)
	}
	worker := x.choose(ctx)
	switch {
	case x.late:
		return x.prepare(n, plain) && x.answerLate()
	case worker == nil:
		return x.refuseNone()
	}
	if worker.busy() && c.bound == nil {
		x.settle(worker, false)
		return x.turnAway(byRequests)
	}
	if h.Upgrade {
		return x.upgrade(ctx, worker, n)
	}
	if l := x.admit(); l != unlimited {
		x.settle(worker, false)
		return x.turnAway(l)
	}
	if !x.prepare(n, plain) {
		return false
	}
	return x.forward(ctx, worker)
}

// forbidden tells what is wrong with a request that another router has not let in before.
func (x *exchange) forbidden(b []byte) *http1.Refusal {
	switch most := x.c.r.cfg.MaxBodyBytes; {
	case x.c.bound != nil:
		return nil
	case x.strange(b):
		return errOrigin
	case most > 0 && x.head.Length > most:
		return errBody
	}
	return nil
}

var errBody = &http1.Refusal{Status: 413, Why: "body too large"}

// tooMuch counts bytes of a chunked body, and tells whether they are more than it may have.
func (x *exchange) tooMuch(n int) bool {
	x.taken += int64(n)
	most := x.c.r.cfg.MaxBodyBytes
	return most > 0 && x.taken > most && x.c.bound == nil
}

// refuseNone answers where no worker takes the request.
func (x *exchange) refuseNone() bool {
	if x.limited != unlimited {
		return x.turnAway(x.limited)
	}
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
	x.compose(c.Bytes(), n, f)
	c.Discard(n)
	x.headLen = 0
	var err error
	body := c.Bytes()
	switch k := 0; {
	case x.head.Chunked:
		k, x.more, err = x.chunks.Feed(body)
		x.more = !x.more
		x.takeBody(k)
	case x.head.Length > 0:
		k = int(min(int64(len(body)), x.head.Length))
		x.rest = x.head.Length - int64(k)
		x.takeBody(k)
	}
	switch {
	case err != nil:
		return x.refuse(http1.ErrChunk.Status, http1.ErrChunk.Why)
	case x.head.Chunked && x.tooMuch(len(x.out)-x.cut-2):
		return x.refuse(errBody.Status, errBody.Why)
	}
	c.Release()
	return true
}

// maxPrefetched bounds the body bytes that leave with the head.
const maxPrefetched = 64 << 10

func (x *exchange) takeBody(k int) {
	x.out = append(bufpool.Grow(x.out, k), x.c.Bytes()[:k]...)
	x.c.Discard(k)
}

// compose writes the head at the start of b into out: fields between neighbours are dropped, forwarding fields say what
// is known here, the rest stays byte for byte.
func (x *exchange) compose(b []byte, n int, f form) {
	h, believed := &x.head, x.c.bound != nil
	x.dropOut()
	dst := bufpool.Get(n + min(len(b)-n, maxPrefetched) + 512)
	dst = append(append(dst, h.Method.Of(b)...), ' ')
	if h.Authority.To > 0 && (h.Target.From == h.Target.To || b[h.Target.From] != '/') {
		dst = append(dst, '/')
	}
	dst = append(append(dst, h.Target.Of(b)...), " HTTP/1.1\r\n"...)
	for i := range h.Fields() {
		if fl := &h.Fields()[i]; x.forwards(fl, b, believed) {
			dst = appendField(dst, fl, b)
		}
	}
	if h.Authority.To > 0 || h.Minor == 0 && h.Host(b) == nil { // HTTP/1.1 must have one
		dst = append(append(append(dst, "Host: "...), h.Host(b)...), "\r\n"...)
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
func (x *exchange) forwards(f *http1.Field, b []byte, believed bool) bool {
	switch f.ID {
	case http1.FieldHost:
		return x.head.Authority.To == 0
	case http1.FieldConnection, http1.FieldUpgrade, http1.FieldHop, http1.FieldExpect, http1.FieldSiderealWorker, http1.FieldSiderealKey:
		return false
	case http1.FieldSidereal, http1.FieldForwardedFor:
		return believed
	case http1.FieldForwarded, http1.FieldForwardedProto, http1.FieldForwardedHost:
		return believed || x.c.trusted
	case http1.FieldAcceptEncoding:
		return x.route.kind != kindHandshake // its answer is read
	case http1.FieldOther, http1.FieldOrigin:
		return !x.head.Named || !x.head.IsNamed(b, f.Name.Of(b))
	}
	return true
}

func appendField(dst []byte, f *http1.Field, b []byte) []byte {
	dst = append(append(dst, f.Name.Of(b)...), ": "...)
	return append(append(dst, f.Value.Of(b)...), "\r\n"...)
}
