package router

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/rebalance"
)

// hostFleet is hosts with a router and some workers each, without connections. Routers hear of each
// other's sessions from the workers' beats, and in between as often as routers announce them.
type hostFleet struct {
	t       *testing.T
	routers []*Router
	tables  []*heardDirectory
	workers []int // by host
	off     map[string]directory.State
	moving  map[string]bool // by worker
	clients map[string]int  // by worker
	host    map[string]int  // by worker
	hops    int             // sessions on another host than their entry
	beat    uint64
	random  *rand.Rand
}

// heardDirectory hears the other routers' openings at once.
type heardDirectory struct {
	*directory.Static
	opened int // since the last beats
	all    *int
}

func (d *heardDirectory) Opened() { d.opened++; *d.all++ }

func (d *heardDirectory) OpenedRatio() float64 {
	if d.opened == 0 {
		return 0
	}
	return float64(*d.all) / float64(d.opened)
}

func newHostFleet(t *testing.T, balance string, slack int, workers ...int) *hostFleet {
	t.Helper()
	f := &hostFleet{
		t: t, workers: workers, clients: make(map[string]int), host: make(map[string]int), off: make(map[string]directory.State),
		random: rand.New(rand.NewPCG(1, 2)),
	}
	all := new(int)
	for h := range workers {
		d := &heardDirectory{Static: directory.NewStatic(), all: all}
		r, err := New(Config{Directory: d, Balance: balance, BalanceSlack: slack, HostName: fmt.Sprint("host", h), HandshakesInFlight: 1 << 20, HandshakeRate: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		r.balance.random = rand.New(rand.NewPCG(3, uint64(h))).IntN
		f.routers, f.tables = append(f.routers, r), append(f.tables, d)
		f.join(h)
	}
	for _, d := range f.tables {
		d.SetRouters(make([]directory.Router, len(workers))...)
	}
	f.tell()
	return f
}

// join gives a host its workers.
func (f *hostFleet) join(h int) {
	for i := range f.workers[h] {
		id := fmt.Sprintf("h%dw%d", h, i)
		f.clients[id], f.host[id] = 0, h
	}
}

// leave takes a host's workers away.
func (f *hostFleet) leave(h int) {
	for id, host := range f.host {
		if host == h {
			delete(f.clients, id)
			delete(f.host, id)
		}
	}
}

// tell is a beat of every worker, seen by every router.
func (f *hostFleet) tell() {
	f.beat++
	var records []directory.Worker
	for id, n := range f.clients {
		records = append(records, directory.Worker{ID: id, Host: fmt.Sprint("host", f.host[id]), Addr: "192.0.2.1:1", Clients: n, Beat: f.beat, State: f.off[id], Movable: 100, Moving: f.moving[id]})
	}
	for _, d := range f.tables {
		d.Set(records...)
		*d.all, d.opened = 0, 0
	}
}

// open lets n sessions in, each through the router that entry chooses; between two beats come so
// many.
func (f *hostFleet) open(n, between int, entry func() int) {
	f.t.Helper()
	for i := range n {
		if i%between == 0 {
			f.tell()
		}
		h := entry()
		w, l := f.routers[h].balance.choose(nil)
		if w == nil {
			f.t.Fatalf("session %d is turned away: %v", i, l)
		}
		w.gate.leave()
		f.clients[w.id]++
		if f.host[w.id] != h {
			f.hops++
		}
	}
	f.tell()
}

// anywhere is clients that enter at any host, as behind an even load balancer.
func (f *hostFleet) anywhere() int { return f.random.IntN(len(f.routers)) }

// within expects each host's sessions per worker to be within a part of the mean.
func (f *hostFleet) within(part float64) {
	f.t.Helper()
	sum, byHost := 0, make(map[int]int)
	for id, n := range f.clients {
		sum += n
		byHost[f.host[id]] += n
	}
	mean := float64(sum) / float64(len(f.clients))
	for h, n := range byHost {
		if got := float64(n) / float64(f.workers[h]); got > mean*(1+part)+localMargin || got < mean*(1-part)-localMargin {
			f.t.Errorf("host %d has %.0f sessions per worker, the mean is %.0f", h, got, mean)
		}
	}
	f.t.Logf("by host: %v, hops: %d", byHost, f.hops)
}

var policies = []string{"least-connection", "round-robin", "random"}

// waves are how many sessions come between two beats.
var waves = []int{20, 1000, 10_000}

func eachWave(t *testing.T, test func(t *testing.T, balance string, between int)) {
	for _, balance := range policies {
		for _, between := range waves {
			t.Run(fmt.Sprintf("%s, %d between beats", balance, between), func(t *testing.T) { test(t, balance, between) })
		}
	}
}

// TestSessionsStayWhereTheyEnter: behind an even load balancer no session needs a second host.
func TestSessionsStayWhereTheyEnter(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, 0, 2, 2, 2, 2)
		f.open(10_000, between, f.anywhere)
		f.within(0.05)
		if f.hops > 0 {
			t.Errorf("%d sessions are on another host than their entry", f.hops)
		}
	})
}

// TestOneEntryForAll: if everybody enters at one host, that host has at most its slack.
func TestOneEntryForAll(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, 0, 2, 2, 2, 2)
		f.open(10_000, between, func() int { return 1 })
		f.within(0.27)
	})
}

// TestUnevenHosts: the small host's clients go to the large ones once it has its slack.
func TestUnevenHosts(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, 0, 1, 2, 5)
		f.open(10_000, between, f.anywhere)
		if between < 10_000 {
			f.within(0.29)
			return
		}
		f.within(0.50) // nobody hears of what the small host gives to the others
	})
}

// TestHostJoins: an empty host takes its own clients and a part of the others' until it has caught
// up, and isn't overrun.
func TestHostJoins(t *testing.T) {
	for _, between := range []int{20, 1000} {
		f := newHostFleet(t, "", 0, 2, 2, 2)
		f.leave(2)
		f.open(6000, between, func() int { return f.random.IntN(2) })
		f.join(2)
		f.open(1200, between, f.anywhere)
		if got := f.clients["h2w0"] + f.clients["h2w1"]; got < 400 || got > 1000 {
			t.Errorf("%d of 1200 sessions went to the new host", got)
		}
		for range 20 { // sessions end everywhere, and others come instead
			left := 0
			for id, n := range f.clients {
				f.clients[id] -= n / 5
				left += n / 5
			}
			f.open(left, between, f.anywhere)
		}
		f.within(0.25)
		before := f.hops
		f.open(1000, between, f.anywhere)
		t.Logf("%d hops of the last 1000", f.hops-before)
	}
}

// TestRebalance: sessions that are moved come back at any entry and go to the host that had joined
// empty, and local-first keeps the shares afterwards.
func TestRebalance(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, 0, 2, 2, 2)
		f.leave(2)
		f.open(6000, between, func() int { return f.random.IntN(2) })
		f.join(2)
		f.tell()
		plan := rebalance.Make("app", f.tables[0].Workers(), 0.25)
		if plan.Moves < 1990 || plan.Moves > 2010 {
			t.Fatalf("%d of 6000 sessions shall move", plan.Moves)
		}
		f.moving = make(map[string]bool)
		for _, w := range plan.Workers {
			f.moving[w.ID] = true
		}
		for range 10 { // a part of each worker's moves at a time
			moved := 0
			for _, w := range plan.Workers {
				f.clients[w.ID] -= w.Moves / 10
				moved += w.Moves / 10
			}
			f.open(moved, between, f.anywhere)
		}
		f.moving = nil
		f.within(0.02)
		for range 5 { // later, as sessions end everywhere and others come instead
			left := 0
			for id, n := range f.clients {
				f.clients[id] -= n / 5
				left += n / 5
			}
			f.open(left, between, f.anywhere)
			if again := rebalance.Make("app", f.tables[0].Workers(), 0.25); again.Moves != 0 {
				t.Errorf("%d sessions would move again", again.Moves)
			}
		}
	})
}

// TestNobodyToReceive: hosts that all move sessions share the new ones.
func TestNobodyToReceive(t *testing.T) {
	f := newHostFleet(t, "", 0, 2, 2)
	f.moving = map[string]bool{"h0w0": true, "h1w1": true}
	f.open(1000, 50, f.anywhere)
	f.within(0.25)
}

// TestHostDrains: its entry serves on, and its clients go elsewhere.
func TestHostDrains(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, 0, 2, 2, 2)
		f.off["h0w0"], f.off["h0w1"] = directory.StateDraining, directory.StateDraining
		f.open(3000, between, f.anywhere)
		if n := f.clients["h0w0"] + f.clients["h0w1"]; n > 0 {
			t.Errorf("%d sessions went to the draining host", n)
		}
		f.leave(0)
		f.within(0.25)
	})
}

// TestLocalWorkersWithoutRoom: full and silent workers are no place for a session, so it goes to
// another host.
func TestLocalWorkersWithoutRoom(t *testing.T) {
	f := newHostFleet(t, "", 0, 2, 2)
	r := f.routers[0]
	for i, id := range []string{"h0w0", "h0w1"} {
		w := r.workers.of(f.tables[0].Workers().Get(id))
		if i == 0 {
			w.gate.inFlight.Store(1 << 30)
		} else {
			w.gate.stalled.Store(1 << 62)
		}
	}
	f.open(100, 10, func() int { return 0 })
	if f.clients["h0w0"]+f.clients["h0w1"] > 0 || f.hops != 100 {
		t.Errorf("clients: %v", f.clients)
	}
}

// TestRetryAtAnotherWorkerOfTheHost: a handshake that a worker doesn't answer goes to its
// neighbour.
func TestRetryAtAnotherWorkerOfTheHost(t *testing.T) {
	f := newHostFleet(t, "", 0, 2, 2)
	r := f.routers[0]
	for range 20 {
		w, _ := r.balance.choose(r.workers.of(f.tables[0].Workers().Get("h0w0")))
		if w.id != "h0w1" {
			t.Fatal(w.id)
		}
	}
}

// TestWithoutSlack: all workers are alike, as many hops as there are other hosts.
func TestWithoutSlack(t *testing.T) {
	eachWave(t, func(t *testing.T, balance string, between int) {
		f := newHostFleet(t, balance, -1, 2, 2, 2, 2)
		f.open(10_000, between, f.anywhere)
		f.within(0.05)
		if f.hops < 7000 || f.hops > 8000 {
			t.Errorf("%d of 10000 sessions are on another host than their entry, want three quarters", f.hops)
		}
	})
}

func BenchmarkBalance(b *testing.B) {
	for _, n := range []int{16, 1000} {
		b.Run(fmt.Sprint(n, " workers"), func(b *testing.B) {
			d := directory.NewStatic()
			records := make([]directory.Worker, n)
			for i := range records {
				records[i] = directory.Worker{ID: fmt.Sprintf("w%04d", i), Host: fmt.Sprint("host", i/8), Addr: "192.0.2.1:1"}
			}
			d.Set(records...)
			d.SetRouters(make([]directory.Router, n/8)...)
			r, err := New(Config{Directory: d, HostName: "host1", HandshakesInFlight: 1 << 30, HandshakeRate: 1 << 40})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				w, _ := r.balance.choose(nil)
				w.gate.leave()
				r.balance.opened(w, -1)
			}
		})
	}
}
