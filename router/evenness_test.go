package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// fleet is workers and the routers before them, without connections: handshakes go through the
// routers' own balancing, and what routers know of each other's comes with the workers' beats, as
// in life.
type fleet struct {
	t       *testing.T
	routers []*Router
	tables  []*directory.Static
	clients map[string]int // by worker, as it is
	beat    uint64
	random  *rand.Rand
}

func newFleet(t *testing.T, routers, workers int, balance string) *fleet {
	t.Helper()
	f := &fleet{t: t, clients: make(map[string]int), random: rand.New(rand.NewPCG(1, 2))}
	for i := range workers {
		f.clients[fmt.Sprintf("wk%02d", i)] = 0
	}
	for i := range routers {
		d := directory.NewStatic()
		r, err := New(Config{Directory: d, Balance: balance, HandshakesInFlight: 1 << 20, HandshakeRate: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		r.balance.random = rand.New(rand.NewPCG(3, uint64(i))).IntN
		r.balance.turn.Store(uint64(i) * 1001)
		f.routers, f.tables = append(f.routers, r), append(f.tables, d)
	}
	for _, d := range f.tables {
		d.SetRouters(make([]directory.Router, routers)...)
	}
	f.tell()
	return f
}

// tell is a beat of every worker, seen by every router.
func (f *fleet) tell() {
	f.beat++
	var records []directory.Worker
	for id, n := range f.clients {
		records = append(records, directory.Worker{ID: id, Clients: n, Beat: f.beat})
	}
	for _, d := range f.tables {
		d.Set(records...)
	}
}

// open lets n sessions in, each through a router at random; between two beats come so many.
func (f *fleet) open(n, between int) {
	f.t.Helper()
	f.openVia(n, between, func() *Router { return f.routers[f.random.IntN(len(f.routers))] })
}

func (f *fleet) openVia(n, between int, entry func() *Router) {
	f.t.Helper()
	for i := range n {
		if i%between == 0 {
			f.tell()
		}
		b, l := entry().balance.choose(nil)
		if b == nil {
			f.t.Fatalf("session %d is turned away: %v", i, l)
		}
		b.gate.leave()
		f.clients[b.id]++
	}
}

// kill ends a worker and returns how many clients it had.
func (f *fleet) kill(id string) int {
	n := f.clients[id]
	delete(f.clients, id)
	for _, r := range f.routers {
		r.workers.gone(r.workers.of(r.cfg.Directory.Workers().Get(id)))
	}
	return n
}

// even expects every worker's clients within a part of what would be even.
func (f *fleet) even(part float64) {
	f.t.Helper()
	sum, least, most := 0, 1<<30, 0
	for _, n := range f.clients {
		sum, least, most = sum+n, min(least, n), max(most, n)
	}
	share := float64(sum) / float64(len(f.clients))
	f.t.Logf("%d to %d clients, %.0f would be even", least, most, share)
	if float64(most) > share*(1+part) || float64(least) < share*(1-part) {
		f.t.Errorf("want that within %.0f %%", 100*part)
	}
}

// A trickle of sessions, a steady stream, and a wave that is over before the second beat.
func TestSessionsAreEvenOverWorkers(t *testing.T) {
	for _, balance := range []string{"least-connection", "round-robin"} {
		for _, between := range []int{20, 200, 1000, 5000, 10_000} {
			t.Run(fmt.Sprintf("%s, %d between beats", balance, between), func(t *testing.T) {
				f := newFleet(t, 4, 8, balance)
				f.open(10_000, between)
				f.even(0.05)
			})
		}
	}
}

// The others exist, and nobody comes to them.
func TestSessionsOfOneEntryAreEven(t *testing.T) {
	for _, between := range []int{20, 1000, 10_000} {
		f := newFleet(t, 4, 8, "")
		f.openVia(10_000, between, func() *Router { return f.routers[0] })
		f.even(0.05)
	}
}

// It has the fewest of all: two choices at random send it at most twice its share, and not
// everyone.
func TestNewWorkerIsNotOverrun(t *testing.T) {
	for _, between := range []int{200, 2000} {
		t.Run(fmt.Sprint(between, " between beats"), func(t *testing.T) {
			f := newFleet(t, 4, 8, "")
			f.open(10_000, between)
			f.clients["new0"] = 0
			f.open(2000, between)
			const n = 9.0
			if got := float64(f.clients["new0"]) / 2000; got > 2/n*1.1 || got < 1/n {
				t.Errorf("%.0f %% of new sessions went to the new one, want %.0f to %.0f %%", 100*got, 100/n, 200/n)
			}
			// Sessions end everywhere; what comes instead brings it up to the others.
			for range 10 {
				left := 0
				for id, n := range f.clients {
					f.clients[id] -= n / 5
					left += n / 5
				}
				f.open(left, between)
			}
			f.even(0.05)
		})
	}
}

func TestClientsOfTheDeadAreSpreadEvenly(t *testing.T) {
	f := newFleet(t, 4, 8, "")
	f.open(10_000, 500)
	lost := f.kill("wk00") + f.kill("wk05")
	f.open(lost, 10_000) // they come back together, before anybody beats
	f.even(0.05)
}

func TestRoundRobinAndRandomSurviveDeaths(t *testing.T) {
	for _, balance := range []string{"round-robin", "random"} {
		f := newFleet(t, 4, 8, balance)
		f.open(1000, 100)
		f.kill("wk03")
		f.open(1000, 100)
		if _, there := f.clients["wk03"]; there {
			t.Errorf("%s: sessions go to the dead", balance)
		}
	}
}

// Whoever has no room is passed over, and its share is not lost on one neighbour.
func TestShareOfAFullWorkerIsSpread(t *testing.T) {
	f := newFleet(t, 1, 8, "")
	r := f.routers[0]
	full := r.workers.of(r.cfg.Directory.Workers().Get("wk00"))
	full.gate.inFlight.Store(1 << 30)
	f.open(7000, 500)
	if f.clients["wk00"] != 0 {
		t.Errorf("%d sessions at the full one", f.clients["wk00"])
	}
	delete(f.clients, "wk00")
	counts := make([]int, 0, 7)
	for _, n := range f.clients {
		counts = append(counts, n)
	}
	slices.Sort(counts)
	if counts[6] > 1100 || counts[0] < 900 {
		t.Errorf("the others have %v", counts)
	}
}
