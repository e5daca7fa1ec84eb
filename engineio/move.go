package engineio

import (
	"context"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// Move says which sessions Server.Move ends.
type Move struct {
	// Most is how many sessions may be ended.
	Most int
	// Keep is how many sessions the server keeps: Move ends none if there are no more.
	Keep int
	// PerSecond is how many sessions are ended each second. 0 or less ends them all at once.
	PerSecond float64
}

// Move ends sessions with ForcedClose, so that their clients reconnect to another server. It begins
// with those whose clients have been silent for the most heartbeats. Below package socketio, it
// skips sessions whose handlers are at work, and sessions with a socket in a socketio.Pinned room.
// The server takes new sessions meanwhile. Move returns how many sessions it has ended, and the
// error of ctx if that ended first. Fewer than m.Most is no error.
func (s *Server) Move(ctx context.Context, m Move) (moved int, err error) {
	limit := rate.Inf
	if m.PerSecond > 0 {
		limit = rate.Limit(m.PerSecond)
	}
	g := moving{server: s, move: m, pace: rate.NewLimiter(limit, 1)}
	for end := time.Now().Add(finishTime); ; {
		before := g.moved
		if err := g.round(ctx); err != nil || g.isDone() || !g.skipped {
			return g.moved, err
		}
		if g.moved > before {
			end = time.Now().Add(finishTime)
		}
		if !time.Now().Before(end) { // those that are left are always at work
			return g.moved, nil
		}
		select {
		case <-time.After(tick):
		case <-ctx.Done():
			return g.moved, ctx.Err()
		}
	}
}

// moving is a call of Server.Move.
type moving struct {
	server  *Server
	move    Move
	pace    *rate.Limiter
	moved   int
	skipped bool       // by the last round: sessions that may be moved later
	closing []*Session // told to end, which clients hear with their next poll
}

// isDone reports whether enough sessions were moved.
func (g *moving) isDone() bool {
	g.closing = slices.DeleteFunc(g.closing, (*Session).isClosed)
	return g.moved >= g.move.Most || g.server.Len()-len(g.closing) <= g.move.Keep
}

// round looks once at every session, the longest idle first.
func (g *moving) round(ctx context.Context) error {
	g.skipped = false
	if g.isDone() {
		return nil
	}
	for _, c := range g.server.byIdleness() {
		switch {
		case c.session.isPinned():
			continue
		case c.session.quietFor() < c.idle || c.session.busy(): // it has come to life since
			g.skipped = true
			continue
		}
		if err := g.pace.Wait(ctx); err != nil {
			return err
		}
		if g.isDone() {
			return nil
		}
		if !c.session.isOpen() {
			continue
		}
		g.server.move(c.session, ForcedClose, eventloop.ErrMoved)
		g.moved++
		g.server.metrics.moved.Inc()
		g.closing = append(g.closing, c.session)
	}
	return nil
}

// idleSession is a session and how idle it was.
type idleSession struct {
	session *Session
	idle    uint8
}

// byIdleness returns the open sessions, the longest idle first.
func (s *Server) byIdleness() []idleSession {
	all := make([]idleSession, 0, s.Len())
	for session := range s.Sessions() {
		if session.isOpen() {
			all = append(all, idleSession{session, session.quietFor()})
		}
	}
	slices.SortFunc(all, func(a, b idleSession) int { return int(b.idle) - int(a.idle) })
	return all
}

// quietFor returns for how many heartbeats the client has sent no message.
func (s *Session) quietFor() uint8 {
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	return s.quiet
}

func (s *Session) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateOpen
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}
