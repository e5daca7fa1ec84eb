package router

import (
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

// verdict is how an attempt ended.
type verdict uint8

const (
	keepOpen  verdict = iota // answered
	closeIt                  // answered, or nobody is there to be answered
	unsent                   // nothing was written: may be tried again
	ownerGone                // the worker is dead
	stalled                  // a handshake's answer takes too long: may be tried elsewhere
	broken                   // no answer came
	again                    // the same, and the worker can tell a copy of the request from a new one
	otherKey                 // the door accepts another secret: nothing was done
)

// forward sends the message to the route's worker, and its answer to the client. The router tries
// again at the same worker once, if nothing was written or the worker recognises the copy; and
// elsewhere only if the worker is dead or no session is meant.
func (x *exchange) forward(ctx context.Context) bool {
	fresh := false
	if l := x.admit(); l != unlimited {
		x.route.settle(false)
		return x.turnAway(l)
	}
	const most = 4 // attempts, with those that reach nobody
	for n := range most {
		w := x.route.worker
		u, err := w.get(ctx, fresh)
		for tries := 0; tries < mostTries && outOfDescriptors(err) && x.c.r.budget.shortage(); tries++ {
			u, err = w.get(ctx, fresh)
		}
		if err == nil {
			a := attempt{x: x, u: u}
			switch v := a.run(ctx); v {
			case keepOpen, closeIt:
				return v == keepOpen
			case otherKey:
				fresh = true
				continue
			case again:
				x.c.r.metrics.repeats.Inc()
				x.out.repeat(x.c.r.id)
				fresh = true
				continue
			case unsent:
				if !fresh {
					fresh = true
					continue
				}
				if err = w.check(ctx); err == nil {
					err = errBusy
				}
			case ownerGone:
				err = errGone
			case stalled:
				x.route.stall()
				w.answered(false)
				err = errBusy
			case broken:
				x.route.settle(false)
				if x.isOrphanOf(w) {
					return x.answerOrphan()
				}
				return x.refuse(errNoAnswer)
			}
		}
		switch gone := errors.Is(err, errGone); {
		case (gone || errors.Is(err, errShut)) && x.isOrphanOf(w):
			x.route.settle(false)
			if gone {
				x.c.r.workers.gone(w)
			}
			return x.answerOrphan()
		case !gone && x.out.repeated && n < most-1:
			fresh = true // what broke the connection, a router's death, may keep us from the next for a moment
			continue
		case !gone && !errors.Is(err, errShut) && (x.req.sid != "" || x.c.bound != nil):
			x.route.settle(false)
			return x.refuse(errBusyWorker)
		}
		if !x.reroute(err) {
			return x.refuseGone()
		}
		fresh = false
	}
	return x.refuseNone()
}

// isOrphanOf reports whether the request is a post for a session of w, which leaves or has left.
func (x *exchange) isOrphanOf(w *worker) bool {
	return x.c.bound == nil && x.c.r.isOrphan(&x.req, w.id)
}

// attempt is one try to have a worker answer: the router sends the message over a connection to the
// worker, waits for the answer, and judges it.
type attempt struct {
	x       *exchange
	u       *workerConn
	sending *upload // of the rest of the body; nil: there is none, or it has ended
	whole   bool    // the request was written, body included
	stalls  bool    // if the answer is late, another worker is asked
}

// run makes the attempt. It closes the connection to the worker or puts it back.
func (a *attempt) run(ctx context.Context) verdict {
	x, u := a.x, a.u
	x.record.worker, x.record.named = u.w.id, u.named
	x.record.tries++
	u.w.requests.Add(1)
	defer u.w.requests.Add(-1)
	defer func() { _, _ = a.endUpload() }() // whoever needed the outcome has asked for it
	text := x.out.text
	if u.named {
		key, err := a.key(ctx)
		if err != nil {
			u.close()
			return broken
		}
		text = x.out.addressed(u.w.id, key)
	}
	written, ok, err := a.send(text)
	a.whole = written == len(text) && !x.out.streamed
	if u.named {
		bufpool.Put(text)
	}
	switch {
	case !ok:
		x.c.wait.end()
		u.close()
		return closeIt
	case err != nil:
		return a.failed(ctx, written, err)
	}
	u.greet = false
	p := replies.Get().(*reply)
	v := a.answer(ctx, p)
	*p = reply{}
	replies.Put(p)
	return v
}

// key returns the key for the door that the connection leads to, if it has not been shown yet.
func (a *attempt) key(ctx context.Context) (string, error) {
	if !a.u.greet {
		return "", nil
	}
	key, err := a.u.key(ctx)
	if err != nil {
		a.x.c.r.metrics.upstreamError("key")
	}
	return key, err
}

// send writes the text, begins to send the rest of the body, and reads the first bytes of the
// answer. It returns false if the client has left.
func (a *attempt) send(text []byte) (written int, ok bool, err error) {
	x, u := a.x, a.u
	until := a.until()
	if !x.c.await(u, a.patience(), until) {
		return 0, false, nil
	}
	if !x.out.unsent() {
		written, err = u.Exchange(text)
		if err == nil && a.stalls {
			x.c.wait.answered(u)
		}
		return written, true, err
	}
	if written, err = u.Write(text); err != nil {
		return written, true, err
	}
	if x.req.expect && !x.out.continued {
		x.out.continued = true
		if _, err := x.c.Write(continued); err != nil {
			return written, false, nil
		}
	}
	a.sending = startUpload(x.c, &x.out, u)
	return written, true, u.Fill()
}

var continued = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// patience returns how far the client has to go until the router stops to wait for the worker.
func (a *attempt) patience() leave {
	switch q := &a.x.req; {
	case q.kind == kindPoll:
		return halfClosed
	case q.isGet && a.x.out.form != relayed:
		return hungUp
	}
	return never
}

// upgradeTimeout is how long a worker may take to answer an upgrade that the router relays. A
// parked poll ends with its session, but an upgrade has none of the worker's timers behind it: an
// app that never answers one would hold both connections, even if the client has left.
const upgradeTimeout = time.Minute

// until returns when the router stops waiting for the answer; zero is never. It tries a handshake
// at another worker, unless there is none or this one is the other. Nothing is decided before the
// answer. A session that the first worker opens all the same belongs to nobody, and ends with that
// worker's connect timeout.
func (a *attempt) until() (t time.Time) {
	x, r := a.x, a.x.c.r
	switch {
	case x.route.gate != nil && !x.route.moved && !x.out.unsent() && r.cfg.StallTimeout >= 0 &&
		len(r.cfg.Directory.Workers().Ready()) >= 2:
		a.stalls = true
		return time.Now().Add(r.cfg.StallTimeout)
	case x.out.form == relayed:
		return time.Now().Add(r.upgradeTime)
	}
	return t
}

// failed ends an attempt that had no answer.
func (a *attempt) failed(ctx context.Context, written int, err error) verdict {
	x, u := a.x, a.u
	_, fault := a.endUpload()
	there := x.c.wait.end()
	if !there {
		a.tellLeft()
		if u.w.up != nil && x.req.kind == kindPoll {
			u.w.up.Ended(x.req.sid)
		}
	}
	u.close()
	switch {
	case !there:
		return closeIt
	case fault != nil:
		if f := refusalOf(fault); f != nil {
			x.refuse(f)
		}
		return closeIt
	case a.stalls && isTimeout(err):
		return stalled
	case written == 0:
		return unsent
	}
	x.c.r.metrics.upstreamError("read")
	u.w.answered(false)
	// A dead worker can't answer, so the router treats the sid as unknown. An app may have done
	// what the request asked for.
	if (x.req.sid != "" || x.req.isGet) && errors.Is(u.w.check(ctx), errGone) {
		return ownerGone
	}
	if refusalOf(err) == nil && a.repeatable() {
		return again
	}
	return broken
}

// repeatable reports whether the worker would recognise a copy of the request: of a numbered poll
// or post that was sent whole. It is sent twice at most.
func (a *attempt) repeatable() bool {
	x := a.x
	return a.whole && x.out.form == plain && !x.out.repeated && x.c.bound == nil &&
		(x.req.kind == kindPoll || x.req.kind == kindPost) && a.u.w.knowsRepeats() && x.out.numbered()
}

// tellTime limits the time for telling a worker that a client left, and for hearing it from another
// host's router.
const tellTime = time.Second

// tellLeft tells the worker that the client of a poll left. It doesn't if the router ends, or if
// the other router whose connection this is has said nothing: then the worker waits for a copy.
func (a *attempt) tellLeft() {
	x, u := a.x, a.u
	if !a.whole || x.req.kind != kindPoll || x.req.hasBody() || !u.w.knowsRepeats() || !x.c.clientHasLeft() {
		return
	}
	u.Conn.SetWriteDeadline(time.Now().Add(tellTime))
	_, _ = u.Conn.Write([]byte{handoff.ClientLeft}) // if that fails, the worker waits in vain for a moment
}

// badReply ends an attempt whose answer is malformed or breaks off.
func (a *attempt) badReply(ctx context.Context, err error) verdict {
	var f *http1.Refusal
	if errors.As(err, &f) {
		a.x.c.r.metrics.upstreamError("response")
	}
	return a.failed(ctx, len(a.x.out.text), err)
}

// answer reads the reply, whose first bytes are there, and sends it to the client.
func (a *attempt) answer(ctx context.Context, p *reply) verdict {
	x, u, h := a.x, a.u, &p.head
	n, err := p.read(u)
	if err != nil {
		return a.badReply(ctx, err)
	}
	u.w.answered(h.Status < 502 || h.Status > 504)
	first := u.named && !u.reused
	u.reused = true // from now on it is the worker's own, whatever it says
	switch {
	case h.Status == 421 && (first || u.doored && h.Value(u.Bytes(), http1.FieldSiderealWorker) != nil):
		x.c.wait.end()
		u.close()
		return ownerGone
	case first && h.Value(u.Bytes(), http1.FieldSiderealKey) != nil:
		x.c.wait.end()
		u.close()
		if u.w.otherKey() && !x.out.streamed && !x.out.unsent() {
			return otherKey
		}
		x.c.r.workers.keyRefused(u.w)
		return broken
	case h.Status == 101 && x.out.form == relayed && h.Upgrade:
		x.record.status = h.Status
		x.route.settle(true)
		x.c.wait.answered(u)
		x.c.relaying, u.sid, u.session = u, x.req.sid, x.req.kind == kindUpgrade
		return closeIt
	case h.Status == 101:
		return a.badReply(ctx, http1.ErrBadStatus)
	}
	if x.route.opened {
		if err = a.learn(ctx, p, n); err != nil {
			return a.badReply(ctx, err)
		}
	}
	return a.respond(p, n)
}

// learn reads a handshake's answer to the end. If a session was opened, the directory learns who
// owns it before the client can know its sid.
func (a *attempt) learn(ctx context.Context, p *reply, n int) error {
	x, u := a.x, a.u
	if p.head.Status != 200 || p.head.Length > maxOpen {
		x.route.settle(false)
		return nil
	}
	body, err := p.wholeBody(u, n)
	if err != nil {
		return err
	}
	open, ok := packet.FindOpen(body)
	x.route.settle(ok)
	if ok {
		if u.w.up != nil {
			u.w.up.Opened(open.SID, open.PingInterval+open.PingTimeout)
		}
		ttl := directory.EntryTTL(open.PingInterval, open.PingTimeout)
		x.c.r.cfg.Directory.Learn(ctx, open.SID, u.w.id, ttl)
	}
	return nil
}

// respond sends the reply, whose head is the first n bytes of the connection's buffer.
func (a *attempt) respond(p *reply, n int) verdict {
	x, u, h := a.x, a.u, &p.head
	x.record.status = h.Status
	if x.out.form == relayed {
		x.c.wait.answered(u) // a refusal has the time that any answer has
	}
	x.close = x.close || x.c.r.draining.Load() || a.sending != nil && !a.sending.taken.Load()
	if a.sending != nil {
		a.sending.answering.Store(true)
	}
	bodiless := x.req.isHead || h.Status == 204 || h.Status == 304
	p.body = bodyOf(h, bodiless, x.req.minor == 0)
	if p.body.untilClose || p.body.decode && !bodiless {
		x.close = true
	}
	if u.w.up != nil && (x.req.kind == kindPoll || x.req.kind == kindPost) {
		a.countSession(h, u.Bytes()[n:])
	}
	text := x.composeReply(p, u.Bytes(), n)
	u.Discard(n)
	sound, err := p.send(x, u, text)
	whole, _ := a.endUpload()
	// After a refused upgrade the app may close the connection, or read no request from it any
	// more.
	reusable := x.c.wait.end() && sound && whole && x.out.form != relayed &&
		!h.Close && !p.body.untilClose && len(u.Bytes()) == 0
	if reusable {
		u.w.put(u)
	} else {
		u.close()
	}
	if x.req.sid != "" && x.c.bound == nil {
		x.c.r.cfg.Directory.Touch(x.req.sid)
	}
	if err == nil && !x.close {
		return keepOpen
	}
	if err == nil && x.unread {
		x.c.linger()
	}
	return closeIt
}

// countSession notes what the answer of an upstream says about the request's session. Body is as
// much of the answer's body as is there.
func (a *attempt) countSession(h *http1.Head, body []byte) {
	sid, up := a.x.req.sid, a.u.w.up
	switch {
	case h.Status == 400:
		up.Ended(sid)
	case h.Status == 200 && a.closes(h, body):
		up.Closed(sid)
	case h.Status == 200:
		up.Used(sid)
	}
}

// closes reports whether the request or its answer has a close packet. It looks only at bodies that
// are here as a whole, which closing ones are.
func (a *attempt) closes(h *http1.Head, body []byte) bool {
	if a.x.req.kind == kindPoll {
		return h.Length == int64(len(body)) && sessioncount.Closes(body)
	}
	text := a.x.out.text
	return !a.x.out.streamed && a.x.req.head.Length > 0 && a.x.req.head.Length <= int64(len(text)) &&
		sessioncount.Closes(text[int64(len(text))-a.x.req.head.Length:])
}

// endUpload ends the upload, if there is one: nobody needs the bytes that were not sent by now.
// Whole means that the worker has all of the body. If not, the router reads nothing more from the
// client but the end of its connection.
func (a *attempt) endUpload() (whole bool, err error) {
	p := a.sending
	if p == nil {
		return true, nil
	}
	select {
	case <-p.done:
	default:
		p.stop()
		<-p.done
	}
	a.u.ClearWriteDeadline()
	a.sending = nil
	x := a.x
	x.c.Expect(0)
	if p.taken.Load() {
		x.c.Release()
	} else {
		x.close, x.unread = true, true
	}
	if p.clientsFault() {
		err = p.err
	}
	return p.err == nil, err
}
