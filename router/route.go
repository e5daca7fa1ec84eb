package router

import (
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// route is the decision about a request: the worker that it goes to, and what the router has
// counted for it. It changes if that worker can't be reached.
type route struct {
	worker   *worker // nil: nobody takes the request
	decision string  // how the worker was found
	limited  limit   // what forbids the request, if there is no worker
	orphan   bool    // a post for a session whose worker has just left
	opened   bool    // counted as a new session of the worker
	gate     *gate   // that the handshake is in; nil: none
	moved    bool    // away from a worker that did not answer
	admitted bool    // counted among the requests that use a connection to a worker
}

// route finds the worker for a request of a client.
func (r *Router) route(ctx context.Context, q *request) (rt route) {
	switch {
	case q.sid != "":
		o := r.cfg.Directory.Owner(ctx, q.sid)
		if o.Worker != nil {
			r.cfg.Directory.Touch(q.sid)
			return route{worker: r.workers.of(o.Worker), decision: o.Decision}
		}
		if r.isOrphan(q, o.WorkerID) {
			return route{orphan: true}
		}
		rt.decision = decisionUnknown
	case q.opensSession():
		rt.decision = decisionBalanced
		if r.tooMany(q) {
			rt.limited = byAddress
			return rt
		}
	default:
		rt.decision = decisionApp
	}
	rt.choose(r, q, nil)
	return rt
}

// choose picks any worker but not. For a new session that is a matter of balance, and the worker
// must have room for the handshake.
func (rt *route) choose(r *Router, q *request, not *worker) {
	if !q.opensSession() {
		rt.worker = r.balance.anyWorker(not)
		return
	}
	rt.leaveGate()
	rt.worker, rt.limited = r.balance.choose(not)
	if rt.opened = rt.worker != nil; rt.opened {
		rt.gate = &rt.worker.gate
	}
}

// settle ends the balancing of a new session. If none came to be, the worker's count is corrected.
func (rt *route) settle(opened bool) {
	if rt.opened && !opened {
		rt.worker.r.balance.opened(rt.worker, -1)
	}
	rt.opened = false
	rt.leaveGate()
}

// leaveGate gives back the handshake's place among those in flight.
func (rt *route) leaveGate() {
	if rt.gate != nil {
		rt.gate.leave()
		rt.gate = nil
	}
}

// stall notes that the route's worker does not answer a handshake. New sessions avoid it for a
// moment.
func (rt *route) stall() {
	rt.moved = true
	rt.worker.gate.stalled.Store(time.Now().UnixNano())
	rt.worker.r.metrics.upstreamError("stalled")
}

// reroute chooses again after an attempt has failed, and corrects what was counted. The error says
// why; err is errGone, errShut or errBusy. It returns false if the request has nowhere to go.
func (x *exchange) reroute(err error) bool {
	rt, r := &x.route, x.c.r
	old := rt.worker
	rt.settle(false)
	gone := errors.Is(err, errGone)
	if gone {
		r.workers.gone(old)
	}
	if !gone && !errors.Is(err, errShut) {
		rt.choose(r, &x.req, old) // nothing was written, and any worker will do
		return rt.worker != nil
	}
	return x.routeUnknown(old)
}

// routeUnknown chooses another worker for a request that can't reach its own. If the request
// belongs to a session, the other worker answers that it doesn't know the sid.
func (x *exchange) routeUnknown(not *worker) bool {
	rt, q := &x.route, &x.req
	switch {
	case x.c.bound != nil, x.out.streamed && q.sid == "":
		rt.worker = nil // the bytes that the app was sent are not here any more
		return false
	case x.out.streamed:
		x.out.dropBody()
	}
	if q.sid != "" {
		x.decided(decisionUnknown)
	}
	rt.choose(x.c.r, q, not)
	return rt.worker != nil
}

// avoidStopped chooses another worker for a new session whose worker doesn't take what it was
// passed, because its process is stopped. It returns false if there is no need, or no other worker.
// Requests of existing sessions have nowhere else to go.
func (x *exchange) avoidStopped(s *handoff.Sender) bool {
	rt, r := &x.route, x.c.r
	old := rt.worker
	if rt.gate == nil || rt.moved || s.Behind(time.Now()) < silence || len(r.balance.ready(old)) == 0 {
		return false
	}
	rt.stall()
	rt.settle(false)
	if rt.choose(r, &x.req, old); rt.worker == nil { // all others are full
		rt.worker, rt.limited = old, unlimited
		return false
	}
	return true
}

// isOrphan reports whether a request brings packets to a session of a worker that leaves, or has
// just left. Its client may have sent them before it heard of the session's end, and would take an
// error for one of its own. Nobody can do anything with the packets.
func (r *Router) isOrphan(q *request, worker string) bool {
	return q.kind == kindPost && r.cfg.Directory.Workers().Leaves(worker)
}

// tooMany reports whether the client's address has had its handshakes of this second. A trusted
// proxy is no client: if it names none, nobody is limited.
func (r *Router) tooMany(q *request) bool {
	most, addr := r.cfg.HandshakesPerAddress, q.from.addr.Addr()
	if most <= 0 || !addr.IsValid() || r.proxies.trusts(addr) {
		return false
	}
	return !r.addresses.enter(addr, most, time.Now().Unix())
}
