package router

import (
	"net/netip"
	"time"
)

// Decision is what the router did with one request, for Config.OnDecision.
type Decision struct {
	Began time.Time
	Took  time.Duration
	// Kind is app, handshake, poll, post or upgrade.
	Kind   string
	Method string
	SID    string // empty: the request names no session
	Client netip.AddrPort
	// Source says how the worker was found: cache, table (Redis), tag, balanced (a new session),
	// unknown, app, or nothing.
	Source string
	// Worker is the id of the worker that was tried last, Tries the number of tries.
	Worker string
	Tries  int
	// Way is how the request reached the worker: local, door (of another host), handover (the
	// worker got the connection), relay, or refused (the router answered).
	Way string
	// Status is that of the answer; 0 if there was none, or the worker gave it on its own
	// connection.
	Status int
	// Reason is that of a refusal.
	Reason string
}

// decide tells Config.OnDecision what became of the exchange. Requests of other routers are theirs
// to tell.
func (x *exchange) decide() {
	c, a := x.c, &x.record
	if c.r.cfg.OnDecision == nil || c.bound != nil || a.decision == decisionDoor {
		return
	}
	client := x.req.from.addr
	if !client.IsValid() {
		client = c.peer.addr
	}
	c.r.cfg.OnDecision(Decision{
		Began: a.began, Took: time.Since(a.began), Kind: x.req.kind.String(), Method: x.req.method(), SID: x.req.sid, Client: client,
		Source: a.decision, Worker: a.worker, Tries: a.tries, Way: x.way(), Status: a.status, Reason: a.reason,
	})
}

func (x *exchange) way() string {
	switch a := &x.record; {
	case a.reason != "":
		return "refused"
	case a.passed:
		return "handover"
	case x.c.relaying != nil:
		return "relay"
	case a.worker == "":
		return ""
	case a.named:
		return "door"
	}
	return "local"
}

// method is the request's method, as far as the router needs to know it.
func (q *request) method() string {
	switch {
	case q.isHead:
		return "HEAD"
	case q.isGet:
		return "GET"
	}
	return "POST"
}
