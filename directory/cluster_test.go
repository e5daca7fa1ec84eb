package directory

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestDirectoryOnRedisCluster has the keys of an app on all nodes of a cluster, and loses the node with the records.
func TestDirectoryOnRedisCluster(t *testing.T) {
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

// TestDirectoryOnSentinel loses the master and goes on with its replica.
func TestDirectoryOnSentinel(t *testing.T) {
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
