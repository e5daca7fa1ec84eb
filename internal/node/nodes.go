package node

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

const (
	// lookEvery is how often the servers beyond this host are counted, and how late a worker learns of a change.
	lookEvery = time.Second
	// beatNodes is how often nodes give a sign: adapters take those for dead that are silent for 10 s, unless told otherwise.
	beatNodes = 2 * time.Second
	// firstNumber is that of the first node in the second generation, beyond those of workers.
	firstNumber = 1 << 32
)

// node is a server beyond this host as a worker knows it: somebody whose answers it waits for.
type node struct {
	uid    string // third generation
	number int    // second
}

// reply makes a node's answer.
func (s *space) reply(n node, k kind, data *ipc.Object) *ipc.Object {
	o := s.b.gen.message(s.name, n.uid, k).Set("data", data)
	if s.b.gen == third {
		o.Set("requesterUid", s.uid)
	}
	return o
}

// sign makes what tells the worker that a node is there.
func (s *space) sign(n node) *ipc.Object {
	o := s.b.gen.message(s.name, n.uid, kindBeat)
	if s.b.gen == second {
		o.Set("data", float64(n.number))
	}
	return o
}

// farewell makes what tells the worker that a node has gone.
func (s *space) farewell(n node) *ipc.Object {
	if s.b.gen == second {
		return second.message("", "", kindGone).Set("data", float64(n.number))
	}
	return third.message(s.name, n.uid, kindGone)
}

func (s *space) nodeList() []node {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]node(nil), s.nodes...)
}

// setNodes makes the worker know of that many servers beyond this host.
func (s *space) setNodes(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.nodes) < n && !s.closed {
		fresh := node{uid: newID(), number: int(s.b.c.h.numbers.Add(1)) + firstNumber}
		s.nodes = append(s.nodes, fresh)
		s.send(s.sign(fresh))
	}
	for len(s.nodes) > max(n, 0) {
		last := len(s.nodes) - 1
		s.send(s.farewell(s.nodes[last]))
		s.nodes = s.nodes[:last]
	}
}

// beat gives a sign of each node, when it is time again.
func (s *space) beat(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.gen != third || now.Sub(s.beaten) < beatNodes {
		return
	}
	s.beaten = now
	for _, n := range s.nodes {
		s.send(s.sign(n))
	}
}

// introduce answers a namespace that has just begun: the nodes that it may know are there, and others are looked for.
func (s *space) introduce() {
	for _, n := range s.nodeList() {
		s.send(s.sign(n))
	}
	s.inBackground(func(ctx context.Context) error {
		s.count(ctx)
		return nil
	})
}

// count finds out how many servers are beyond this host; -1: it may be as before.
func (s *space) count(ctx context.Context) (others int) {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	n, err := s.adapter.ServerCount(ctx)
	if err != nil {
		return -1
	}
	s.setNodes(n - 1)
	return n - 1
}

// watchServers keeps the workers' nodes as many as there are servers, one look for all workers that share a namespace.
func (h *Host) watchServers() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.look(now)
		case <-h.ctx.Done():
			return
		}
	}
}

func (h *Host) look(now time.Time) {
	for _, g := range h.groups {
		counted := make(map[string]int)
		for _, b := range g.all(nil) {
			for _, s := range b.list() {
				s.tidy(now)
				if s.adapter != nil {
					s.look(h.ctx, counted)
					s.beat(now)
				}
			}
		}
	}
}

// look makes the worker's nodes as many as there are servers. Where its adapter does not hear them nobody is to wait for them.
func (s *space) look(ctx context.Context, counted map[string]int) {
	n, ok := counted[s.name]
	switch {
	case !s.b.cluster.Up():
		s.setNodes(0)
	case ok && n >= 0:
		s.setNodes(n)
	case !ok:
		counted[s.name] = s.count(ctx)
	}
}
