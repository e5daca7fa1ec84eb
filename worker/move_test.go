package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// crowd opens n sessions of clients that don't come back, and returns the clients.
func crowd(t *testing.T, r *running, n int) []*client.Client {
	t.Helper()
	all := make([]*client.Client, n)
	for i := range all {
		c, err := client.New(client.Config{URL: "http://" + r.Addr(), Transports: []string{client.WebSocket}, NoReconnection: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Of("/").Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		all[i] = c
	}
	return all
}

func (r *running) awaitSessions(n int) {
	r.t.Helper()
	testkit.Until(r.t, fmt.Sprint(n, " sessions"), func() bool { return r.io.Engine().Len() == n })
}

// order gives the worker an order to move sessions, and returns once it has taken it.
func order(t *testing.T, m *miniredis.Miniredis, id string, o directory.MoveOrder) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	key := "{sidereal:default}:move:" + id
	if err := m.Set(key, string(text)); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the worker to take its order", func() bool { return !m.Exists(key) })
}

func anyApp(context.Context, *socketio.Server) error { return nil }

// TestOrdersToMove: a worker keeps as many sessions as its order says, and its record says that it
// moves some. A newer order replaces an order that isn't done.
func TestOrdersToMove(t *testing.T) {
	t.Parallel()
	m := testkit.MiniRedis(t)
	r := start(t, anyApp, "SIDEREAL_REDIS_URL=redis://"+m.Addr())
	id := r.awaitReady()
	crowd(t, r, 12)
	r.awaitSessions(12)
	order(t, m, id, directory.MoveOrder{Sessions: 100, Keep: 4, PerSecond: 0.001})
	r.awaitSessions(11) // the next would follow in a quarter of an hour
	awaitRecord(t, m, id, func(w *directory.Worker) bool { return w.Moving && w.Clients == 11 })
	order(t, m, id, directory.MoveOrder{Sessions: 3, Keep: 2})
	r.awaitSessions(8)
	order(t, m, id, directory.MoveOrder{}) // stop
	awaitRecord(t, m, id, func(w *directory.Worker) bool { return !w.Moving && w.Clients == 8 })
	order(t, m, id, directory.MoveOrder{Sessions: 100, Keep: 8}) // nothing to do
	order(t, m, id, directory.MoveOrder{Sessions: 100, Keep: 7})
	r.awaitSessions(7)
	if err := r.end(); err != nil { // in the midst of it: routers still prefer other hosts
		t.Error(err)
	}
	if w := record(t, m, id); w != nil {
		t.Errorf("the record stays: %+v", w)
	}
}

// TestWorkerEndsAmidAMove: a worker that is told to stop doesn't finish its order first.
func TestWorkerEndsAmidAMove(t *testing.T) {
	t.Parallel()
	m := testkit.MiniRedis(t)
	r := start(t, anyApp, "SIDEREAL_REDIS_URL=redis://"+m.Addr())
	id := r.awaitReady()
	crowd(t, r, 3)
	r.awaitSessions(3)
	order(t, m, id, directory.MoveOrder{Sessions: 3, PerSecond: 0.001})
	r.awaitSessions(2)
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// TestSettlingEndsEarly once so many have left that the host may have new sessions again.
func TestSettlingEndsEarly(t *testing.T) {
	t.Parallel()
	r := start(t, anyApp)
	r.awaitReady()
	all := crowd(t, r, 30)
	r.awaitSessions(30)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		(&mover{w: r.worker}).settle(t.Context(), 40, time.Hour) // 40 - 5 - 8 = 27 are enough
	}()
	for _, c := range all[:4] {
		c.Close()
	}
	testkit.Closed(t, "settling", settled)
}
