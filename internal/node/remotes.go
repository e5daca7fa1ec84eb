package node

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	// countEvery is how often the servers beyond this host are counted, and how late a worker learns of a change.
	countEvery = time.Second
	// remoteBeats is how often remotes give a sign: adapters take those for dead that are silent for 10 s, unless told otherwise.
	remoteBeats = 2 * time.Second
	// firstNumber is that of the first remote in the second generation, beyond those of workers.
	firstNumber = 1 << 32
)

// remote is a server beyond this host as a worker knows it: somebody whose answers it waits for.
type remote struct {
	uid    string // third generation
	number int    // second
}

// reply makes a remote's answer.
func (s *namespace) reply(n remote, k kind, data *ipc.Object) *ipc.Object {
	o := s.b.gen.message(s.name, n.uid, k).Set("data", data)
	if s.b.gen == third {
		o.Set("requesterUid", s.uid)
	}
	return o
}

// sign makes what tells the worker that a remote is there.
func (s *namespace) sign(n remote) *ipc.Object {
	o := s.b.gen.message(s.name, n.uid, kindBeat)
	if s.b.gen == second {
		o.Set("data", float64(n.number))
	}
	return o
}

// farewell makes what tells the worker that a remote has gone.
func (s *namespace) farewell(n remote) *ipc.Object {
	if s.b.gen == second {
		return second.message("", "", kindGone).Set("data", float64(n.number))
	}
	return third.message(s.name, n.uid, kindGone)
}

func (s *namespace) remoteList() []remote {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]remote(nil), s.remotes...)
}

// setRemotes makes the worker know of that many servers beyond this host.
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

// beat gives a sign of each remote, when it is time again.
func (s *namespace) beat(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.gen != third || now.Sub(s.beaten) < remoteBeats {
		return
	}
	s.beaten = now
	for _, n := range s.remotes {
		s.send(s.sign(n))
	}
}

// introduce answers a namespace that has just begun: the remotes that it may know are there, and others are looked for.
func (s *namespace) introduce() {
	for _, n := range s.remoteList() {
		s.send(s.sign(n))
	}
	s.inBackground(func(ctx context.Context) error {
		s.count(ctx)
		return nil
	})
}

// count finds out how many servers are beyond this host; -1: it may be as before.
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

// watchServers keeps the workers' remotes as many as there are servers, one look for all workers that share a namespace.
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
	for _, g := range h.groups {
		counted := make(map[string]int)
		for _, b := range g.all(nil) {
			for _, s := range b.list() {
				s.tidy(now)
				if s.adapter != nil {
					s.recount(ctx, counted)
					s.beat(now)
				}
			}
		}
	}
}

// recount makes the worker's remotes as many as there are servers. Where its adapter does not hear them nobody is to wait for them.
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
