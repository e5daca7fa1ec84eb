package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

// balancer chooses workers: for new sessions by the policy, this host's first (local.go), and for
// requests without a session in turn.
type balancer struct {
	cfg      *Config
	workerOf func(*directory.Worker) *worker
	policy   policy
	random   func(n int) int // rand.IntN
	turn     atomic.Uint64   // of all workers

	slack     float64                // what this host's workers may have above the mean; 0: they aren't preferred
	localTurn atomic.Uint64          // of this host's workers
	shares    atomic.Pointer[shares] // at the last state of the directory
}

func (b *balancer) init(cfg *Config, workerOf func(*directory.Worker) *worker) {
	b.cfg, b.workerOf, b.random = cfg, workerOf, rand.IntN
	b.policy, _ = parsePolicy(cfg.Balance)
	b.slack = float64(cfg.BalanceSlack) / 100
	b.turn.Store(rand.Uint64()) // routers that start together don't go round together
}

// choose finds the worker for a new session and enters its gate. If that worker is full, or did not
// answer a moment ago, choose takes another one. It returns nil if none is ready, or if l forbids
// them all.
func (b *balancer) choose(not *worker) (w *worker, l limit) {
	now := time.Now().UnixNano()
	if some, routers := b.preferred(not); len(some) > 0 {
		w, _ = b.enter(some, b.pick(some, &b.localTurn, routers), now, false)
	}
	if w == nil {
		ready := b.ready(not)
		if len(ready) == 0 {
			return nil, unlimited
		}
		first := b.pick(ready, &b.turn, max(len(b.cfg.Directory.Workers().Routers()), 1))
		if w, l = b.enter(ready, first, now, false); w == nil && l == unlimited { // all of them are silent
			w, l = b.enter(ready, first, now, true)
		}
	}
	if w != nil {
		b.opened(w, 1)
	}
	return w, l
}

// pick returns the index of the worker that the policy prefers, among so many routers.
func (b *balancer) pick(ready []*directory.Worker, turn *atomic.Uint64, routers int) int {
	return b.policy.pick(len(ready), turn.Add(1), b.random, func(i int) load {
		return b.workerOf(ready[i]).load(ready[i], routers)
	})
}

// enter enters the first worker's gate, or that of another one. Workers that did not answer a
// moment ago are left out, unless all are to be tried.
func (b *balancer) enter(ready []*directory.Worker, first int, now int64, all bool) (w *worker, l limit) {
	// Not always the first one's neighbour, which would get a full worker's whole share.
	others := b.random(len(ready))
	for i := -1; i < len(ready); i++ {
		at := first
		if i >= 0 {
			at = (others + i) % len(ready)
		}
		w := b.workerOf(ready[at])
		if !all && w.gate.avoided(now) {
			continue
		}
		if l = w.gate.enter(b.cfg, now); l == unlimited {
			return w, l
		}
	}
	return nil, l
}

// anyWorker chooses a worker, but not that one, for a request without a session: in turn, and one
// of this host if there is one.
func (b *balancer) anyWorker(not *worker) *worker {
	ready := b.ready(not)
	if len(ready) == 0 {
		return nil
	}
	start := b.turn.Add(1) % uint64(len(ready))
	for i := range uint64(len(ready)) {
		if w := ready[(start+i)%uint64(len(ready))]; w.Host == b.cfg.HostName {
			return b.workerOf(w)
		}
	}
	return b.workerOf(ready[start])
}

// ready returns the ready workers that can be reached, but not that one.
func (b *balancer) ready(not *worker) []*directory.Worker {
	return without(b.cfg.Directory.Workers().Ready(), func(w *directory.Worker) bool { return !b.reaches(w) || not.is(w) })
}

// reaches reports whether requests can get to a worker. A worker of another host may be ready
// before its host's door is open, if the router there starts later. It has no address until then.
func (b *balancer) reaches(w *directory.Worker) bool {
	return w.Addr != "" || w.Upstream != nil || w.Host == b.cfg.HostName
}

// without returns the workers that skip doesn't report. It doesn't change ready.
func without(ready []*directory.Worker, skip func(*directory.Worker) bool) []*directory.Worker {
	if !slices.ContainsFunc(ready, skip) {
		return ready
	}
	return slices.DeleteFunc(slices.Clone(ready), skip)
}

// policy is how a new session finds its worker.
type policy uint8

const (
	leastConnection policy = iota
	roundRobin
	randomWorker
)

func parsePolicy(name string) (policy, error) {
	switch name {
	case "", "least-connection":
		return leastConnection, nil
	case "round-robin":
		return roundRobin, nil
	case "random":
		return randomWorker, nil
	}
	return 0, fmt.Errorf("router: balance %q: want least-connection, round-robin or random", name)
}

// load is what balancing knows of a worker.
type load struct {
	clients int  // at its last beat, and what all routers are likely to have given it since
	here    bool // on this host: no hop for its requests
}

// pick chooses one of n workers, n at least 1. Least-connection takes two different workers at
// random and of them the one with fewer clients: routers that know the same numbers then don't all
// rush to the same worker, as they would to the one with the fewest of all. The sessions that this
// router gave a worker since its beat count once for each router: the others see the same beats and
// choose alike, and each making up for a difference by itself would make a new one, as many times
// as large (10,000 sessions in waves of 1,000 between beats: 4.7 % from even without that, 0.4 %
// with it). Equal ones are told apart by the host. Turn counts the calls.
func (p policy) pick(n int, turn uint64, random func(n int) int, loadOf func(i int) load) int {
	switch {
	case n == 1:
		return 0
	case p == roundRobin:
		return int(turn % uint64(n))
	case p == randomWorker:
		return random(n)
	}
	i, j := random(n), random(n-1)
	if j >= i {
		j++
	}
	a, b := loadOf(i), loadOf(j)
	if b.clients < a.clients || b.clients == a.clients && b.here && !a.here {
		return j
	}
	return i
}
