package directory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestDirectoryOnRedisCluster has the keys of an app on all nodes of a cluster, and loses the node
// with the records.
func TestDirectoryOnRedisCluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	a, b := node(t, c.URL()), node(t, c.URL())
	if err := a.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	worker, stop := join(t, a, Worker{Addr: "10.0.0.1:8080", Tags: true}, a, b)
	owned := func(from, to *Directory, name string) {
		t.Helper()
		for i := range 20 { // in slots of every node
			sid := fmt.Sprint(name, i)
			testkit.Until(t, "an owner's entry", func() bool {
				from.Learn(context.Background(), sid, worker.ID(), time.Minute)
				o := to.Owner(context.Background(), sid)
				return o.WorkerID == worker.ID() && o.Decision == DecisionTable || o.Decision == DecisionCache
			})
		}
	}
	owned(a, b, "before")
	secret, err := a.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	dead := c.Owner(a.keys.workers())
	dead.Kill()
	c.Promote(dead)
	owned(b, a, "after")
	second, _ := join(t, b, Worker{Addr: "10.0.0.2:8080"}, a, b)
	awaitState(t, a, worker.ID(), StateReady)
	stop()
	awaitState(t, b, worker.ID(), "")
	awaitState(t, b, second.ID(), StateReady)
	if got, err := b.Secret(t.Context()); err != nil || got != secret {
		t.Errorf("the secret is another: %v", err)
	}
}

// TestFrozenNodeOfACluster stops each master in turn, for longer than a record lives without beats.
// Nobody's worker is lost or unready, an owner whose entry is on another node is found, and a sid's
// look-up on the stopped one ends, without a wrong owner.
func TestFrozenNodeOfACluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	a, b := node(t, c.URL()), node(t, c.URL())
	var workers []*Registration[Worker]
	for i := range 6 { // whose records are on several nodes
		w, _ := join(t, a, Worker{Addr: fmt.Sprintf("10.0.0.%d:8080", i), Tags: true}, a, b)
		workers = append(workers, w)
	}
	worker := workers[0]
	for round, frozen := range c.Nodes[:3] {
		var there, elsewhere []string
		for i := range 20 {
			sid := fmt.Sprintf("sid%d-%d", round, i)
			a.Learn(t.Context(), sid, worker.ID(), time.Minute)
			if c.Owner(a.keys.sid(sid)) == frozen {
				there = append(there, sid)
			} else {
				elsewhere = append(elsewhere, sid)
			}
		}
		if len(there) == 0 || len(elsewhere) == 0 {
			t.Fatalf("%d and %d entries", len(there), len(elsewhere))
		}
		frozen.Stop()
		over := time.After(recordTTL + 2*beatEvery)
		for stopped := true; stopped; {
			select {
			case <-over:
				stopped = false
			case <-b.Changed():
			}
			for _, d := range []*Directory{a, b} {
				for _, w := range workers {
					if r := d.Workers().Get(w.ID()); r == nil || r.State != StateReady {
						t.Fatalf("node %d is stopped, and a worker is %+v", round, r)
					}
				}
			}
		}
		var asking sync.WaitGroup
		for _, sid := range append(there, elsewhere...) { // some in one batch
			asking.Go(func() {
				if o := b.Owner(t.Context(), sid); o.WorkerID != worker.ID() && o.WorkerID != "" {
					t.Errorf("%s: %+v", sid, o)
				}
			})
		}
		asking.Wait()
		for _, sid := range elsewhere { // again, perhaps, on a busy machine
			testkit.Until(t, "the owner of an entry on another node", func() bool { return b.Owner(t.Context(), sid).WorkerID == worker.ID() })
		}
		frozen.Cont()
		for _, sid := range there {
			testkit.Until(t, "the owner to be found again", func() bool { return b.Owner(t.Context(), sid).WorkerID == worker.ID() })
		}
		second, stop := join(t, b, Worker{Addr: "10.0.1.1:8080"}, a, b)
		stop()
		awaitState(t, a, second.ID(), "")
	}
}

// TestFrozenNodeHoldsOnlyItsSids stops a node that has sids. While a write to it is unanswered, the
// sids of other nodes are written.
func TestFrozenNodeHoldsOnlyItsSids(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	a, b := node(t, c.URL()), node(t, c.URL())
	worker, _ := join(t, a, Worker{}, a, b)
	records := c.Owner(a.keys.workers())
	frozen := c.Nodes[0]
	if frozen == records {
		frozen = c.Nodes[1]
	}
	next := 0
	sid := func(there bool) string {
		for ; ; next++ {
			if sid := fmt.Sprint("sid", next); (c.Owner(a.keys.sid(sid)) == frozen) == there {
				next++
				return sid
			}
		}
	}
	frozen.Stop()
	defer frozen.Cont()
	write := func(sid string) write {
		wr := write{sid: sid, owner: worker.ID(), ttl: time.Minute, done: make(chan struct{})}
		a.sids.remember(sid, wr.owner, wr.ttl, a.now(), 0)
		if !a.sids.write(wr) {
			t.Fatal("not queued")
		}
		return wr
	}
	testkit.Until(t, "sids to be written while the stopped node has not answered", func() bool {
		held := write(sid(true))
		for range 20 {
			elsewhere := write(sid(false))
			<-elsewhere.done
			if o := b.Owner(t.Context(), elsewhere.sid); o.WorkerID != worker.ID() {
				t.Logf("%s: %+v", elsewhere.sid, o) // a busy machine
				return false
			}
		}
		select {
		case <-held.done:
			return false
		default:
			return true
		}
	})
}

// TestDirectoryOnSentinel loses the master and goes on with its replica.
func TestDirectoryOnSentinel(t *testing.T) {
	t.Parallel()
	s := testkit.StartSentinel(t)
	a, b := node(t, s.URL()), node(t, s.URL())
	worker, _ := join(t, a, Worker{Addr: "10.0.0.1:8080"}, a, b)
	s.First.Kill()
	s.Promoted(s.Second)
	second, stop := join(t, b, Worker{Addr: "10.0.0.2:8080"}, a, b)
	awaitState(t, b, worker.ID(), StateReady)
	stop()
	awaitState(t, a, second.ID(), "")
}
