package rebalance

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

// hosts makes a table of hosts whose workers have so many sessions.
func hosts(sessions ...[]int) *directory.Static {
	d := directory.NewStatic()
	d.Set(records(sessions...)...)
	return d
}

func records(sessions ...[]int) (all []directory.Worker) {
	for h, workers := range sessions {
		for i, n := range workers {
			all = append(all, directory.Worker{
				ID: fmt.Sprintf("h%dw%d", h, i), Host: fmt.Sprintf("host%d", h), Slot: i + 1, Clients: n, Movable: 100,
			})
		}
	}
	return all
}

func TestPlans(t *testing.T) {
	for _, c := range []struct {
		name     string
		sessions [][]int
		want     map[string]int // moves by worker
	}{
		{"even", [][]int{{100, 100}, {100, 100}}, nil},
		{"nobody", [][]int{{0, 0}, {0}}, nil},
		{"one host", [][]int{{1000, 0}}, nil},
		{"within the slack", [][]int{{120, 120}, {80, 80}}, nil},
		{"few sessions", [][]int{{8, 8}, {0, 0}}, nil},
		{"a third joins", [][]int{{250, 250}, {250, 250}, {0, 0}}, map[string]int{"h0w0": 83, "h0w1": 83, "h1w0": 83, "h1w1": 83}},
		{"a tenth joins", [][]int{{100}, {100}, {100}, {100}, {100}, {100}, {100}, {100}, {100}, {0}},
			map[string]int{"h0w0": 10, "h1w0": 10, "h2w0": 10, "h3w0": 10, "h4w0": 10, "h5w0": 10, "h6w0": 10, "h7w0": 10, "h8w0": 10}},
		{"the fullest first", [][]int{{500, 100}, {0, 0}}, map[string]int{"h0w0": 300}},
		{"and then its neighbour", [][]int{{500, 300}, {0, 0}}, map[string]int{"h0w0": 300, "h0w1": 100}},
		{"uneven hosts", [][]int{{300}, {100, 100, 100, 100, 100}}, map[string]int{"h0w0": 166}},
		{"uneven only inside", [][]int{{300, 0}, {150, 150}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Make("app", hosts(c.sessions...).Workers(), 0.25)
			got := map[string]int{}
			for _, w := range p.Workers {
				got[w.ID] = w.Moves
				if w.Moves <= 0 || w.Keep+w.Moves != w.Sessions || w.Rate > 100 {
					t.Errorf("%+v", w)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) && len(got)+len(c.want) > 0 {
				t.Errorf("moves %v, want %v", got, c.want)
			}
		})
	}
}

// A cluster that changes comes to rest first, and nothing is planned meanwhile.
func TestPlansWait(t *testing.T) {
	for state, why := range map[directory.State]string{
		directory.StateStarting: "starts", directory.StateDraining: "drains", directory.StateSick: "has missed its beats", "": "still moves sessions",
	} {
		all := records([]int{500}, []int{0}, []int{7})
		all[2].State, all[2].Moving = state, state == ""
		p := Make("app", directory.NewStatic(all...).Workers(), 0.25)
		if p.Moves != 0 || len(p.Waits) != 1 || !strings.HasSuffix(p.Waits[0], why) {
			t.Errorf("%s: %d moves, waits: %q", state, p.Moves, p.Waits)
		}
	}
}

// Workers that take no orders are refused, and the others don't move more in their place than makes
// them even.
func TestPlansRefuse(t *testing.T) {
	all := records([]int{500, 500}, []int{0, 0})
	all[0].Movable = 0
	p := Make("app", directory.NewStatic(all...).Workers(), 0.25)
	if len(p.Refused) != 1 || !strings.Contains(p.Refused[0], "worker h0w0 of host host0") || p.Moves != 250 || p.Workers[0].ID != "h0w1" {
		t.Errorf("%+v", p)
	}
	for i := range all {
		all[i].Movable, all[i].Upstream = 0, new(directory.Upstream)
	}
	if p := Make("app", directory.NewStatic(all...).Workers(), 0.25); p.Moves != 0 || len(p.Hosts) != 0 {
		t.Errorf("upstreams: %+v", p)
	}
}

// The rate is bounded by what each worker gives and by what the others take.
func TestPace(t *testing.T) {
	var full [][]int
	for range 20 {
		full = append(full, []int{1000})
	}
	p := Make("app", hosts(append(full, []int{0})...).Workers(), 0.25)
	sum := 0.0
	for _, w := range p.Workers {
		sum += w.Rate
	}
	if math.Abs(sum-100) > 1e-6 || math.Abs(p.Seconds-float64(p.Moves)/100) > 1e-6 {
		t.Errorf("%.1f sessions a second come to one worker, for %.1f s", sum, p.Seconds)
	}
}

// clusterSim is what workers really have, while planners see it late.
type clusterSim struct {
	random  *rand.Rand
	workers []directory.Worker
	moved   int
}

// order carries a plan out as workers do, whatever they had when it was made, and has the clients
// come back as routers place them: at hosts with less than their share.
func (c *clusterSim) order(p *Plan) {
	pending := 0
	moving := map[string]bool{}
	for _, o := range p.Workers {
		for i := range c.workers {
			if w := &c.workers[i]; w.ID == o.ID {
				n := max(min(o.Moves, w.Clients-o.Keep), 0)
				w.Clients -= n
				pending += n
				moving[w.Host] = true
			}
		}
	}
	c.moved += pending
	all, byHost, workers := pending, map[string]int{}, map[string]int{}
	for _, w := range c.workers {
		all += w.Clients
		byHost[w.Host] += w.Clients
		workers[w.Host]++
	}
	for range pending {
		least := -1
		for i, w := range c.workers {
			under := byHost[w.Host]*len(c.workers) < all*workers[w.Host]
			if !moving[w.Host] && under && (least < 0 || w.Clients < c.workers[least].Clients) {
				least = i
			}
		}
		if least < 0 {
			least = c.random.IntN(len(c.workers))
		}
		c.workers[least].Clients++
		byHost[c.workers[least].Host]++
	}
}

// excess is how many sessions must move to make all hosts even.
func (c *clusterSim) excess() (n int) {
	for _, h := range Make("app", directory.NewStatic(c.workers...).Workers(), 0.25).Hosts {
		n += max(h.Sessions-h.Share, 0)
	}
	return n
}

// Whatever the cluster, several planners with the same old view move no more than needed, and then
// all are at rest.
func TestPlansOfManyHostsEndAtRest(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		var sessions [][]int
		for range 2 + random.IntN(20) {
			workers := make([]int, 1+random.IntN(8))
			if random.IntN(4) > 0 { // the others have just joined
				for i := range workers {
					workers[i] = random.IntN(200)
				}
			}
			sessions = append(sessions, workers)
		}
		c := &clusterSim{random: random, workers: records(sessions...)}
		view := slices.Clone(c.workers)
		need := c.excess()
		old := directory.NewStatic(view...).Workers()
		for range 1 + random.IntN(3) { // planners that know nothing of each other
			c.order(Make("app", old, 0.25))
		}
		if c.moved > need {
			t.Fatalf("seed %d: moved %d, needed %d", seed, c.moved, need)
		}
		before := c.moved
		p := Make("app", directory.NewStatic(c.workers...).Workers(), 0.25)
		c.order(p)
		if p.Moves != 0 || c.moved != before {
			t.Fatalf("seed %d: still moves %d of %d after the first plan, by %+v", seed, p.Moves, p.Sessions, p.Hosts)
		}
	}
}

// A view that is some beats old moves nobody below the share that it shows, and a worker that has
// fewer by now moves none.
func TestStaleViews(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		c := &clusterSim{random: random, workers: records([]int{900, 900}, []int{900, 900}, []int{0, 0})}
		p := Make("app", directory.NewStatic(slices.Clone(c.workers)...).Workers(), 0.25)
		for i := range c.workers { // clients come and go before the orders arrive
			c.workers[i].Clients = random.IntN(1500)
		}
		had := slices.Clone(c.workers)
		c.order(p)
		for i, w := range c.workers {
			if w.Clients < had[i].Clients && w.Clients < 600 {
				t.Fatalf("seed %d: %s went from %d to %d", seed, w.ID, had[i].Clients, w.Clients)
			}
		}
		if c.moved > p.Moves {
			t.Fatalf("seed %d: moved %d, planned %d", seed, c.moved, p.Moves)
		}
	}
}

func TestAutoWaitsForCalm(t *testing.T) {
	start := time.Now()
	c := calm{since: start}
	uneven := func(workers ...[]int) *Plan { return Make("app", hosts(workers...).Workers(), 0.5) }
	at := func(seconds int, p *Plan) bool { return c.holds(p, start.Add(time.Duration(seconds)*time.Second)) }
	joined := uneven([]int{900}, []int{900}, []int{0})
	for _, step := range []struct {
		second int
		plan   *Plan
		want   bool
	}{
		{1, uneven([]int{900}, []int{900}), false},
		{2, joined, false}, // its workers are new
		{11, joined, false},
		{12, joined, true},
		{13, uneven([]int{900}, []int{900}, []int{600}), false}, // even by itself
		{22, joined, false},
		{23, joined, true},
	} {
		if got := at(step.second, step.plan); got != step.want {
			t.Errorf("second %d: %v", step.second, got)
		}
	}
	c.since = start.Add(100 * time.Second) // a rest
	if at(99, joined) || at(105, joined) || !at(110, joined) {
		t.Error("the rest isn't kept")
	}
}
