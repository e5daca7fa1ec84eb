package engineio

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// okAfterDrain is how long the server answers "ok" to posts for a session that Drain or Move has
// ended. Its client may have sent them before it heard of the end, and would count an error as a
// failed request.
const okAfterDrain = 5 * time.Second

// finishTime is how long a drain waits for a busy Receiver.
const finishTime = 2 * time.Second

// shutdownLinger limits the wait for the answers to our close frames when Run ends.
const shutdownLinger = time.Second

// drained remembers the sessions that Drain and Move have ended.
type drained struct {
	mu    sync.Mutex
	sids  map[string]time.Time // until when posts are answered
	order []string             // of sids, the oldest first
}

// add remembers a sid, and forgets those whose time is over.
func (d *drained) add(sid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sids == nil {
		d.sids = make(map[string]time.Time)
	}
	now := time.Now()
	for len(d.order) > 0 && !now.Before(d.sids[d.order[0]]) {
		delete(d.sids, d.order[0])
		d.order = d.order[1:]
	}
	d.sids[sid] = now.Add(okAfterDrain)
	d.order = append(d.order, sid)
}

func (d *drained) has(sid string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.sids[sid])
}

// Drain refuses new sessions from now on (503, Retry-After) and ends the live ones with
// ShuttingDown, perSecond of them each second, or all at once if perSecond is 0 or less. Below
// package socketio, a session whose handlers are at work may go on for up to 2 seconds. Drain
// returns when no session is left, or with the error of ctx.
func (s *Server) Drain(ctx context.Context, perSecond int) error {
	s.gate.Lock()
	s.refusing.Store(true)
	s.gate.Unlock()
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	pace := rate.NewLimiter(limit, 1)
	var busy []*Session
	for session := range s.Sessions() {
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		if session.busy() {
			busy = append(busy, session)
			continue
		}
		s.move(session, ShuttingDown, nil)
	}
	// Sessions between two polls wait for the next.
	poll := time.NewTicker(tick)
	defer poll.Stop()
	for end := time.Now().Add(finishTime); s.Len() > 0; {
		busy = slices.DeleteFunc(busy, func(session *Session) bool {
			done := !session.busy() || !time.Now().Before(end)
			if done {
				s.move(session, ShuttingDown, nil)
			}
			return done
		})
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// move ends a session so that its client reconnects elsewhere.
func (s *Server) move(session *Session, reason string, why error) {
	s.drained.add(session.id)
	session.close(reason, why)
}

// shutdown ends everything when Run ends.
func (s *Server) shutdown() {
	s.gate.Lock()
	s.refusing.Store(true)
	s.gate.Unlock()
	for session := range s.Sessions() {
		session.fail(ShuttingDown, nil)
	}
	s.lingerMu.Lock()
	settled := make(chan struct{})
	if len(s.lingering) == 0 {
		close(settled)
	} else {
		s.settled = settled
	}
	s.lingerMu.Unlock()
	patience := time.NewTimer(shutdownLinger)
	defer patience.Stop()
	select {
	case <-settled:
	case <-patience.C:
	}
	s.gate.Lock()
	s.stopped = true
	s.gate.Unlock()
	s.starting.Wait() // what was taken just before is closed, too, and lingers by now
	s.lingerMu.Lock()
	left := make([]*webSocket, 0, len(s.lingering))
	for w := range s.lingering {
		left = append(left, w)
	}
	s.lingerMu.Unlock()
	for _, w := range left {
		w.session.mu.Lock()
		w.cutLocked()
		w.session.mu.Unlock()
	}
}

// isLate reports whether a request that finds no session is a post to one that Drain or Move has
// ended.
func (s *Server) isLate(r *http.Request, sid string) bool {
	return r.Method == http.MethodPost && s.drained.has(sid)
}

// answerBusy tells a client to come back later, at another server.
func (s *Server) answerBusy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusServiceUnavailable)
}
