package node

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	// countEvery is how often the host counts the servers beyond it, and how late a worker learns.
	countEvery = time.Second
	// remoteBeats is how often remotes beat. By default, adapters take a server for dead after 10 s.
	remoteBeats = 2 * time.Second
	// firstNumber is the number of the first remote in the second generation, above those of workers.
	firstNumber = 1 << 32
)

// remote is a server beyond this host as a worker knows it. The worker waits for its answers.
type remote struct {
	uid    string // third generation
	number int    // second
}

// reply makes a remote's answer.
func (s *namespace) reply(n remote, k kind, data *ipc.Object) *ipc.Object {
	o := s.b.message(s.name, n.uid, k).Set("data", data)
	if s.b.gen != second {
		o.Set("requesterUid", s.uid)
	}
	return o
}

// sign makes the message that tells the worker about a remote.
func (s *namespace) sign(n remote) *ipc.Object {
	o := s.b.message(s.name, n.uid, kindBeat)
	if s.b.gen == second {
		o.Set("data", float64(n.number))
	}
	return o
}

// farewell makes the message that tells the worker that a remote has left.
func (s *namespace) farewell(n remote) *ipc.Object {
	if s.b.gen == second {
		return s.b.message("", "", kindGone).Set("data", float64(n.number))
	}
	return s.b.message(s.name, n.uid, kindGone)
}

func (s *namespace) remoteList() []remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]remote(nil), s.remotes...)
}

// setRemotes tells the worker about n servers beyond this host.
func (s *namespace) setRemotes(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.remotes) < n && !s.closed {
		fresh := remote{uid: newID(), number: int(s.b.c.h.numbers.Add(1)) + firstNumber}
		s.remotes = append(s.remotes, fresh)
		s.send(s.sign(fresh))
	}
	for len(s.remotes) > max(n, 0) {
		last := len(s.remotes) - 1
		s.send(s.farewell(s.remotes[last]))
		s.remotes = s.remotes[:last]
	}
}

// beat sends the beats of all remotes when they are due.
func (s *namespace) beat(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.gen != third || now.Sub(s.lastBeat) < remoteBeats {
		return
	}
	s.lastBeat = now
	for _, n := range s.remotes {
		s.send(s.sign(n))
	}
}

// introduce tells a new namespace about the known remotes, and counts the servers again.
func (s *namespace) introduce() {
	for _, n := range s.remoteList() {
		s.send(s.sign(n))
	}
	s.inBackground(func(ctx context.Context) error {
		s.count(ctx)
		return nil
	})
}

// count counts the servers beyond this host. It returns -1 if it can't: the number may be as
// before.
func (s *namespace) count(ctx context.Context) (others int) {
	ctx, cancel := context.WithTimeout(ctx, countEvery)
	defer cancel()
	n, err := s.adapter.ServerCount(ctx)
	if err != nil {
		return -1
	}
	s.setRemotes(n - 1)
	return n - 1
}

// watchServers keeps the workers' remotes up to date. It counts once for all workers of a
// namespace.
func (h *Host) watchServers(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.countServers(ctx, now)
		case <-ctx.Done():
			return
		}
	}
}

func (h *Host) countServers(ctx context.Context, now time.Time) {
	for _, g := range h.groupList() {
		counted := make(map[string]int)
		for _, b := range g.all(nil) {
			for _, s := range b.list() {
				s.dropExpired(now)
				if s.adapter != nil {
					s.recount(ctx, counted)
					s.beat(now)
				}
			}
		}
	}
}

// recount gives the worker as many remotes as there are servers, and none while its adapter hears
// nobody: it would wait in vain.
func (s *namespace) recount(ctx context.Context, counted map[string]int) {
	n, ok := counted[s.name]
	switch {
	case !s.b.cluster.Up():
		s.setRemotes(0)
	case ok && n >= 0:
		s.setRemotes(n)
	case !ok:
		counted[s.name] = s.count(ctx)
	}
}
