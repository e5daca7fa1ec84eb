package rebalance

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/sidereal-io/sidereal/directory"
)

// margin is how many sessions per worker don't count, as in local-first (ADR 0032).
const margin = 8

// unknownRate is how many sessions a worker may receive each second that doesn't say it.
const unknownRate = 100

// Plan says how many sessions each worker keeps and moves.
type Plan struct {
	App      string   `json:"app"`
	Sessions int      `json:"sessions"` // of the workers that are ready
	Mean     float64  `json:"mean"`     // sessions per worker
	Slack    float64  `json:"slack"`    // the part of the mean by which hosts may differ
	Moves    int      `json:"moves"`    // sessions to be moved
	Seconds  float64  `json:"seconds"`  // that this takes
	Waits    []string `json:"waits"`    // why there is no plan now; empty: there is one
	Refused  []string `json:"refused"`  // workers that should move sessions and can't, and why
	Hosts    []Host   `json:"hosts"`
	Workers  []Worker `json:"workers"`

	members []string // all workers that are ready
}

// Host is a host in a Plan.
type Host struct {
	Name     string `json:"name"`
	Workers  int    `json:"workers"`
	Sessions int    `json:"sessions"`
	Share    int    `json:"share"` // its part of all sessions, by its workers
	Moves    int    `json:"moves"` // sessions that it gives away
}

// Worker is a worker in a Plan.
type Worker struct {
	ID       string  `json:"id"`
	Host     string  `json:"host"`
	Slot     int     `json:"slot"`
	Sessions int     `json:"sessions"`
	Keep     int     `json:"keep"`
	Moves    int     `json:"moves"`
	Rate     float64 `json:"per_second"`
}

// Make plans with a table of an app. Nothing moves while the sessions per worker of all hosts are
// within slack, a part of the mean. Else each host with more than its share gives away the rest,
// its fullest workers first.
func Make(app string, t *directory.Table, slack float64) *Plan {
	p := &Plan{App: app, Slack: slack, Waits: []string{}, Refused: []string{}, Hosts: []Host{}, Workers: []Worker{}}
	p.wait(t)
	byHost := map[string][]*directory.Worker{}
	for _, w := range t.Ready() {
		if w.Upstream != nil {
			continue
		}
		p.members = append(p.members, w.ID)
		byHost[w.Host] = append(byHost[w.Host], w)
		p.Sessions += w.Clients
	}
	if len(p.members) == 0 {
		return p
	}
	p.Mean = float64(p.Sessions) / float64(len(p.members))
	uneven := false
	for _, name := range slices.Sorted(maps.Keys(byHost)) {
		h := Host{Name: name, Workers: len(byHost[name]), Share: int(math.Ceil(p.Mean * float64(len(byHost[name]))))}
		for _, w := range byHost[name] {
			h.Sessions += w.Clients
		}
		p.Hosts = append(p.Hosts, h)
		off := math.Abs(float64(h.Sessions)/float64(h.Workers) - p.Mean)
		uneven = uneven || off > slack*p.Mean+margin
	}
	if !uneven || len(p.Waits) > 0 {
		return p
	}
	receivers := 0 // what they take each second
	for i := range p.Hosts {
		if h := &p.Hosts[i]; h.Sessions > h.Share {
			p.give(h, byHost[h.Name])
		} else {
			for _, w := range byHost[h.Name] {
				receivers += cmp.Or(w.Movable, unknownRate)
			}
		}
	}
	p.pace(t, receivers)
	return p
}

// wait notes why the cluster has to come to rest first.
func (p *Plan) wait(t *directory.Table) {
	why := map[directory.State]string{
		directory.StateStarting: "starts", directory.StateDraining: "drains", directory.StateSick: "has missed its beats",
	}
	for _, w := range t.All() {
		switch {
		case w.Moving:
			p.Waits = append(p.Waits, fmt.Sprintf("worker %s of host %s still moves sessions", w.ID, w.Host))
		case why[w.State] != "" && w.Upstream == nil:
			p.Waits = append(p.Waits, fmt.Sprintf("worker %s of host %s %s", w.ID, w.Host, why[w.State]))
		}
	}
}

// give plans what the workers of a host give away, so that the host keeps its share.
func (p *Plan) give(h *Host, workers []*directory.Worker) {
	var able []*directory.Worker
	for _, w := range workers {
		if w.Movable > 0 {
			able = append(able, w)
		} else if w.Clients > h.Share/h.Workers {
			p.Refused = append(p.Refused, fmt.Sprintf("worker %s of host %s can't move single sessions: it is no Go worker, or an older version", w.ID, w.Host))
		}
	}
	slices.SortFunc(able, func(a, b *directory.Worker) int {
		return cmp.Or(cmp.Compare(b.Clients, a.Clients), cmp.Compare(a.ID, b.ID))
	})
	// The fullest n workers come down to the same number of sessions.
	excess, sum, level := h.Sessions-h.Share, 0, 0
	n := 0
	for n < len(able) {
		sum += able[n].Clients
		n++
		level = (sum - excess + n - 1) / n
		if n == len(able) || level >= able[n].Clients {
			break
		}
	}
	level = max(level, int(p.Mean)) // of workers that are full beside some that can't move anything
	for _, w := range able[:n] {
		if moves := min(w.Clients-level, excess); moves > 0 {
			excess -= moves
			h.Moves += moves
			p.Workers = append(p.Workers, Worker{ID: w.ID, Host: w.Host, Slot: w.Slot, Sessions: w.Clients, Keep: w.Clients - moves, Moves: moves})
		}
	}
	p.Moves += h.Moves
}

// pace sets the workers' rates, in proportion to what they move, so that all are done at the same
// time. None is above the worker's own, and together they don't exceed what the others take.
func (p *Plan) pace(t *directory.Table, receivers int) {
	p.Seconds = float64(p.Moves) / float64(max(receivers, 1))
	for _, w := range p.Workers {
		p.Seconds = max(p.Seconds, float64(w.Moves)/float64(t.Get(w.ID).Movable))
	}
	for i := range p.Workers {
		p.Workers[i].Rate = float64(p.Workers[i].Moves) / p.Seconds
	}
}

// orders are the plan as workers get it.
func (p *Plan) orders() map[string]directory.MoveOrder {
	orders := make(map[string]directory.MoveOrder, len(p.Workers))
	for _, w := range p.Workers {
		orders[w.ID] = directory.MoveOrder{Sessions: w.Moves, Keep: w.Keep, PerSecond: w.Rate}
	}
	return orders
}
