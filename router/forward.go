package router

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// verdict is how an attempt at a worker ended.
type verdict uint8

const (
	keepOpen verdict = iota // answered
	closeIt                 // answered, or nobody is there to be answered
	unsent                  // nothing was written: may be tried again
	ownerGone
	stalled  // a handshake's answer takes too long: may be tried elsewhere
	broken   // no answer came
	otherKey // the door goes by another secret: nothing was done
)

// forward sends out, and the rest of the body, to the worker and its answer to the client. A request is tried again at the
// same worker once, if nothing of it was written; elsewhere only if the worker is dead, or if no session is meant.
func (x *exchange) forward(ctx context.Context, b *backend) bool {
	fresh := false
	if l := x.admit(); l != unlimited {
		x.settle(b, false)
		return x.turnAway(l)
	}
	for range 4 {
		u, err := b.get(ctx, fresh)
		for tries := 0; tries < mostTries && outOfDescriptors(err) && x.c.r.shortage(); tries++ {
			u, err = b.get(ctx, fresh)
		}
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
			case stalled:
				x.moved = true
				b.gate.stalled.Store(time.Now().UnixNano())
				x.c.r.metrics.upstreamError("stalled")
				b.answered(false)
				err = errBusy
			case otherKey:
				fresh = true
				continue
			case broken:
				x.settle(b, false)
				if x.isLate(b.id) {
					return x.answerLate()
				}
				return x.refuse(502, "the worker did not answer")
			}
		}
		x.settle(b, false)
		switch {
		case (errors.Is(err, errGone) || errors.Is(err, errShut)) && x.isLate(b.id):
			if errors.Is(err, errGone) {
				x.c.r.workerGone(b)
			}
			return x.answerLate()
		case errors.Is(err, errGone):
			b = x.elsewhere(b)
		case errors.Is(err, errShut):
			b = x.unknown(b)
		case x.route.sid == "" && x.c.bound == nil:
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

// goneField tells a door's 421 from one of the worker's app, on a connection that both speak on.
const goneField = "Sidereal-Worker: gone\r\n"

func (x *exchange) refuseGone() bool {
	if x.c.bound != nil {
		return x.refuseWith(421, "that worker is not here", goneField)
	}
	return x.refuseNone()
}

// via makes one attempt over u, which it closes or puts back.
func (x *exchange) via(ctx context.Context, u *upstream) verdict {
	c := x.c
	x.account.worker = u.b.id
	u.b.requests.Add(1)
	defer u.b.requests.Add(-1)
	defer x.endUpload()
	out, ok := x.addressed(ctx, u)
	if !ok {
		u.close()
		return broken
	}
	written, ok, err := x.send(u, out)
	if u.named {
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

// send writes out, begins to send the rest of the body, and reads the first bytes of the response. False: the client left.
func (x *exchange) send(u *upstream, out []byte) (written int, ok bool, err error) {
	until := x.until()
	if !x.c.await(u, x.patience(), until) {
		return 0, false, nil
	}
	if x.rest == 0 && !x.more {
		written, err = u.Exchange(out)
		if err == nil && !until.IsZero() {
			x.c.answered(u)
		}
		return written, true, err
	}
	if written, err = u.Write(out); err != nil {
		return written, true, err
	}
	if x.expect {
		x.expect = false
		if _, err := x.c.Write(continued); err != nil {
			return written, false, nil
		}
	}
	x.startUpload(u)
	return written, true, u.Fill()
}

var continued = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// addressed is out for u: a worker of another host is named, and its door shown the key. Then it is borrowed.
func (x *exchange) addressed(ctx context.Context, u *upstream) ([]byte, bool) {
	if !u.named {
		return x.out, true
	}
	key := ""
	if u.greet {
		var err error
		if key, err = u.key(ctx); err != nil {
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

// until is when a handshake is tried at another worker, if it has no answer by then. Zero: it waits; there is no other,
// or this is that other. Nothing is decided before the answer; a session that comes of the first attempt all the same is
// nobody's, and ends with its worker's connect timeout.
func (x *exchange) until() (t time.Time) {
	r := x.c.r
	if x.handshake == nil || x.moved || x.rest > 0 || x.more || r.cfg.StallTimeout < 0 || len(r.cfg.Directory.Workers().Ready()) < 2 {
		return t
	}
	return time.Now().Add(r.cfg.StallTimeout)
}

// failed ends an attempt that had no answer.
func (x *exchange) failed(ctx context.Context, u *upstream, written int, err error) verdict {
	_, fault := x.endUpload()
	there := x.c.awaited()
	u.close()
	switch {
	case !there:
		return closeIt
	case fault != nil:
		if f := refusalOf(fault); f != nil {
			x.refuse(f.Status, f.Why)
		}
		return closeIt
	case x.handshake != nil && !x.moved && isTimeout(err):
		return stalled
	case written == 0:
		return unsent
	}
	x.c.r.metrics.upstreamError("read")
	u.b.answered(false)
	// The dead answer nothing, so a session's request becomes one of an unknown sid. What the app was asked to do may have
	// been done.
	if (x.route.sid != "" || x.isGet) && errors.Is(u.b.check(ctx), errGone) {
		return ownerGone
	}
	return broken
}

// elsewhere gives up on a dead worker and names another. Nil: there is none.
func (x *exchange) elsewhere(dead *backend) *backend {
	x.c.r.workerGone(dead)
	return x.unknown(dead)
}

// unknown names another worker for a request that cannot reach its own: for a session's request any, which answers that
// the sid is unknown. Nil: there is none.
func (x *exchange) unknown(not *backend) *backend {
	if x.c.bound != nil {
		return nil
	}
	switch {
	case x.streamed && x.route.sid == "":
		return nil // what the app was sent is not here any more
	case x.streamed:
		x.withoutBody()
	}
	if x.route.sid != "" {
		x.decided(decisionUnknown)
	}
	return x.another(not)
}

// another names a worker but that one; nil: no other is ready.
func (x *exchange) another(not *backend) *backend {
	if x.route.sid == "" && (x.route.kind == kindHandshake || x.route.kind == kindUpgrade) {
		x.leave()
		var b *backend
		b, x.limited = x.c.r.balance(not)
		x.opened, x.handshake = b != nil, b
		return b
	}
	return x.c.r.anyWorker(not)
}

// leave gives back the handshake's place in flight.
func (x *exchange) leave() {
	if x.handshake != nil {
		x.handshake.gate.leave()
		x.handshake = nil
	}
}

// withoutBody makes out the same request with an empty body: what was sent to the dead is not here any more, and the
// answer to an unknown sid does not depend on it.
func (x *exchange) withoutBody() {
	var h http1.Head
	n, err := h.ParseRequest(x.out, 0)
	if err != nil {
		return // never: we wrote it
	}
	dst := append(bufpool.Get(n+64), x.out[:bytes.IndexByte(x.out, '\n')+1]...)
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID != http1.FieldContentLength && f.ID != http1.FieldTransferEncoding {
			dst = appendField(dst, f, x.out)
		}
	}
	dst = append(dst, "Content-Length: 0\r\n"...)
	x.dropOut()
	x.cut = len(dst)
	x.out = append(dst, "\r\n"...)
	x.rest, x.more = 0, false
}
