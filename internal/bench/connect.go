package bench

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

// session is a connected client.
type session struct {
	client *client.Client
	socket *client.Socket
	gone   chan struct{} // closed when the connection is lost, or was closed
}

func (s *session) isGone() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// connect connects all clients at the configured rate. It returns when the last one has connected
// or failed.
func (r *run) connect(ctx context.Context) {
	turns := pace{start: time.Now(), perSecond: r.ConnectRate}
	sessions := make([]*session, r.Clients)
	var wg sync.WaitGroup
	for i := range sessions {
		if !turns.wait(ctx, i) {
			break
		}
		wg.Go(func() { sessions[i] = r.open(ctx) })
	}
	wg.Wait()
	r.sessions = slices.DeleteFunc(sessions, func(s *session) bool { return s == nil })
}

// open connects one client. It returns nil if that fails.
func (r *run) open(ctx context.Context) *session {
	cfg := r.Client
	cfg.OnTransport = func(name string) {
		if upgrades(cfg.Transports) && name == client.WebSocket {
			r.upgraded.Add(1)
		}
	}
	c, err := client.New(cfg)
	if err != nil { // Run has checked it
		r.refused.add(r.kind(err))
		return nil
	}
	s := &session{client: c, socket: c.Of(r.Namespace), gone: make(chan struct{})}
	s.socket.OnDisconnect(func(reason string, _ error) {
		if !r.closing.Load() && reason != client.ReasonClientDisconnect {
			r.lost.add(reason)
		}
		close(s.gone)
	})
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	if err := s.socket.Connect(limited); err != nil {
		c.Close()
		if ctx.Err() == nil { // otherwise the user has stopped the run
			r.refused.add(r.kind(err))
		}
		return nil
	}
	r.connecting.add(time.Since(began))
	r.connected.Add(1)
	return s
}
