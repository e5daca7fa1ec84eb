//go:build soak

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
	socketio "github.com/sidereal-io/sidereal/socketio/cluster"
)

// row is what one phase cost, for docs/scale.md.
type row struct {
	Part     string  `json:"part"` // classic, sharded, streams or directory
	Redis    string  `json:"redis"`
	Members  int     `json:"members"`
	Phase    string  `json:"phase"`
	Units    float64 `json:"units"` // how often it was done, or for how many seconds it lasted
	Unit     string  `json:"unit"`
	CPU      float64 `json:"redis_us"`  // µs of Redis a unit
	Busiest  float64 `json:"node_us"`   // the same of the node that worked most
	In       float64 `json:"in"`        // bytes that Redis received a unit
	Out      float64 `json:"out"`       // bytes that Redis sent a unit
	Commands float64 `json:"commands"`  // a unit
	Member   float64 `json:"member_us"` // µs of one member a unit
	Took     float64 `json:"seconds"`
}

// bench is one part with one number of members.
type bench struct {
	t       *testing.T
	s       store
	part    string
	redis   string
	members int
	report  *os.File
}

// phase measures what f does. F returns how many units that was; 0 means seconds.
func (b *bench) phase(name, unit string, f func() int) {
	b.t.Helper()
	before := b.s.read(b.t)
	begin := time.Now()
	units := float64(f())
	took := time.Since(begin).Seconds()
	d := b.s.read(b.t).since(before)
	if units == 0 {
		units = took
	}
	us := func(d time.Duration) float64 { return float64(d.Microseconds()) / units }
	r := row{Part: b.part, Redis: b.redis, Members: b.members, Phase: name, Units: units, Unit: unit, CPU: us(d.redis), Busiest: us(slices.Max(d.each)),
		In: float64(d.in) / units, Out: float64(d.out) / units, Commands: float64(d.commands()) / units,
		Member: us(d.members) / float64(b.members), Took: took}
	top := slices.SortedFunc(maps.Keys(d.calls), func(x, y string) int { return cmp.Compare(d.calls[y], d.calls[x]) })
	var calls []string
	for _, c := range top[:min(len(top), 4)] {
		calls = append(calls, fmt.Sprintf("%s %.3g", c, float64(d.calls[c])/units))
	}
	b.t.Logf("%-9s %-7s %5d  %-16s per %-10s redis %9.0f µs (node %8.0f)  in %9.0f B  out %10.0f B  %8.1f commands  member %7.1f µs  %6.2f s  %s",
		r.Part, r.Redis, r.Members, r.Phase, unit, r.CPU, r.Busiest, r.In, r.Out, r.Commands, r.Member, r.Took, strings.Join(calls, ", "))
	if err := json.NewEncoder(b.report).Encode(r); err != nil {
		b.t.Error(err)
	}
}

// TestSoakGrowth measures each part with more and more members. The Makefile sets the variables.
func TestSoakGrowth(t *testing.T) {
	report, err := os.OpenFile(cmp.Or(os.Getenv("CLUSTER_OUT"), os.DevNull), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer report.Close()
	forms := map[string]adapter.Form{"classic": adapter.Classic{}, "sharded": adapter.Sharded{}, "streams": adapter.Streams{}}
	for _, part := range strings.Split(cmp.Or(os.Getenv("CLUSTER_PARTS"), "classic,sharded,streams,directory"), ",") {
		for _, kind := range strings.Split(cmp.Or(os.Getenv("CLUSTER_REDIS"), "single"), ",") {
			for _, count := range strings.Split(cmp.Or(os.Getenv("CLUSTER_MEMBERS"), "10,100,300"), ",") {
				n, err := strconv.Atoi(count)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(part+"/"+kind+"/"+count, func(t *testing.T) {
					b := &bench{t: t, part: part, redis: kind, members: n, report: report}
					if b.s = single(t); kind == "cluster" {
						b.s = sixNodes(t)
					}
					if form := forms[part]; form != nil {
						b.adapters(form)
					} else {
						b.directory()
					}
				})
			}
		}
	}
}

const (
	messages = 200
	joins    = 20 // rooms that a member joins
)

// adapters measures the adapter in one form.
func (b *bench) adapters(form adapter.Form) {
	t, n := b.t, b.members
	var all []*server
	b.phase("start of all", "member", func() int {
		all = startServers(t, b.s, form, n)
		all[0].counts(t, n)
		return n
	})
	defer func() { stopServers(all) }()
	time.Sleep(max(4*time.Second, 2*time.Second*time.Duration(n)/100+2*time.Second)) // each beats once more: all know all
	b.phase("at rest", "second", func() int {
		time.Sleep(max(6*time.Second, 2*time.Second*time.Duration(n)/100))
		return 0
	})
	b.phase("serverCount", "call", func() int {
		for i := range 100 {
			if got, err := all[i%n].space.ServerCount(t.Context()); err != nil || got != n {
				t.Errorf("%d servers, %v", got, err)
			}
		}
		return 100
	})
	b.phase("fetchSockets", "call", func() int {
		for i := range 10 {
			found := 0
			err := all[i*n/10].space.Ask(t.Context(), socketio.Question{Kind: socketio.AskSockets}, func(a socketio.Answer) { found += len(a.Sockets) })
			if err != nil || found != n-1 {
				t.Errorf("%d sockets, %v", found, err)
			}
		}
		return 10
	})
	b.phase("joins", "join", func() int {
		for i, s := range all {
			for k := range joins {
				s.crowd.join(fmt.Sprintf("room-%d", (i/2*joins + k))) // two members to a room
			}
		}
		for _, s := range all {
			testkit.Until(t, "the rooms to be heard", s.a.Settled)
		}
		return n * joins
	})
	b.broadcasts("to all, lone", all, nil, time.Second/50)
	b.broadcasts("to all, at once", all, nil, 0)
	b.broadcasts("to a room", all, func(i int) []string { return []string{fmt.Sprintf("room-%d", i/2*joins)} }, time.Second/200)
	b.phase("restart of all", "member", func() int {
		const together = 10
		for from := 0; from < n; from += together {
			some := all[from:min(from+together, n)]
			stopServers(some)
			copy(some, startServers(t, b.s, form, len(some)))
		}
		return n
	})
}

// broadcasts sends messages to all or to rooms of two members, and waits until they have arrived.
func (b *bench) broadcasts(name string, all []*server, rooms func(i int) []string, pause time.Duration) {
	b.phase(name, "message", func() int {
		var want int64
		var before int64
		for _, s := range all {
			before += s.crowd.delivered.Load()
		}
		next := time.Now()
		for i := range messages {
			from := i % len(all)
			m := &socketio.Broadcast{Data: said}
			if want += int64(len(all) - 1); rooms != nil {
				m.Rooms = rooms(from)
				want -= int64(len(all) - 2)
			}
			if err := all[from].space.Broadcast(m); err != nil {
				b.t.Error(err)
			}
			next = next.Add(pause)
			time.Sleep(time.Until(next))
		}
		testkit.Until(b.t, "the messages to arrive", func() bool {
			var got int64
			for _, s := range all {
				got += s.crowd.delivered.Load()
			}
			return got-before == want
		})
		return messages
	})
}

// directory measures hosts of one router and one worker each.
func (b *bench) directory() {
	t, n := b.t, b.members
	var all []*host
	b.phase("start of all", "host", func() int {
		all = startHosts(t, b.s, n, 1)
		return n
	})
	defer func() { stopHosts(all) }()
	time.Sleep(3 * time.Second)
	b.phase("at rest", "second", func() int {
		time.Sleep(6 * time.Second)
		return 0
	})
	var sids []string
	b.phase("new sessions", "session", func() int {
		var learning sync.WaitGroup
		for i, h := range all {
			w := h.workers[0].ID()
			own := make([]string, max(1000/n, 1))
			for k := range own {
				own[k] = directory.MintSID(w)
			}
			if i == 0 {
				sids = own
			}
			learning.Go(func() {
				for _, sid := range own {
					h.dir.Learn(t.Context(), sid, w, time.Minute)
					h.dir.Opened()
				}
			})
		}
		learning.Wait()
		time.Sleep(100 * time.Millisecond) // writes that nobody waits for are gathered
		return n * len(sids)
	})
	b.phase("look-ups", "look-up", func() int {
		var asking sync.WaitGroup
		for _, h := range all[1:] {
			asking.Go(func() {
				for _, sid := range sids[:min(len(sids), 10)] {
					if o := h.dir.Owner(t.Context(), sid); o.Worker == nil {
						t.Errorf("no owner: %+v", o)
					}
				}
			})
		}
		asking.Wait()
		return (n - 1) * min(len(sids), 10)
	})
	b.phase("storm of sessions", "second", func() int {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		for ctx.Err() == nil { // each router opens 100 sessions a second
			for _, h := range all {
				for range 10 {
					h.dir.Opened()
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		return 0
	})
	b.phase("restart of all", "worker", func() int {
		restarts := min(n, 20) // some of them, ten a second: what is measured is the cost of one
		for i := range restarts {
			h := all[i]
			next := h.startWorker(t, 0)
			h.workers[0].SetState(directory.StateDraining)
			h.workers[0].stop()
			h.workers[0] = next
			time.Sleep(100 * time.Millisecond)
		}
		known(t, all, n)
		return restarts
	})
}

// commands is the number of commands of all kinds.
func (u usage) commands() (n int64) {
	for _, calls := range u.calls {
		n += calls
	}
	return n
}

func sixNodes(t testing.TB) store {
	c := testkit.StartCluster(t, "--maxclients", "19000", "--client-output-buffer-limit", "pubsub", "0", "0", "0")
	return store{c.URL(), c.Nodes}
}
