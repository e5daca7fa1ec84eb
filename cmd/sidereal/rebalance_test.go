package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/rebalance"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// movingWorker registers as a worker with sessions and shows the orders that it gets.
type movingWorker struct {
	*directory.Registration[directory.Worker]
	known    *directory.Directory
	sessions atomic.Int64
	orders   <-chan directory.MoveOrder
}

func startMovingWorker(t *testing.T, redis *miniredis.Miniredis, host string, sessions int) *movingWorker {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Redis: sidereal.Redis{URL: "redis://" + redis.Addr()}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	w := &movingWorker{known: d}
	w.sessions.Store(int64(sessions))
	record := directory.Worker{Host: host, Addr: host + ":1", State: directory.StateReady, Movable: 100}
	if w.Registration, err = d.RegisterWorker(t.Context(), record, func() int { return int(w.sessions.Load()) }); err != nil {
		t.Fatal(err)
	}
	w.orders = w.Moves()
	testkit.Run(t, w.Run)
	return w
}

// moves says in the worker's record that it moves sessions, and returns once that is known.
func (w *movingWorker) moves(t *testing.T) {
	w.Update(func(r *directory.Worker) { r.Moving = true })
	testkit.Await(t, "the record", w.known.Changed, func() bool {
		r := w.known.Workers().Get(w.ID())
		return r != nil && r.Moving
	})
}

func rebalanceSettings(t *testing.T, redis *miniredis.Miniredis) (set config.Rebalance) {
	t.Helper()
	if _, err := config.Load(&set, config.Source{Environ: []string{"SIDEREAL_REDIS_URL=redis://" + redis.Addr()}}); err != nil {
		t.Fatal(err)
	}
	return set
}

// TestRebalance orders the fuller of two workers to move sessions, waits for it, and shows the
// result. A dry run orders nothing.
func TestRebalance(t *testing.T) {
	t.Parallel()
	redis := testkit.MiniRedis(t)
	set := rebalanceSettings(t, redis)
	var out bytes.Buffer
	if err := rebalanceOnce(t.Context(), &out, set, false, false); err == nil || !strings.Contains(err.Error(), `no worker of the app "default" is ready at redis://`) {
		t.Errorf("without workers: %v", err)
	}
	full := startMovingWorker(t, redis, "east", 60)
	startMovingWorker(t, redis, "west", 0)
	var p rebalance.Plan
	testkit.Until(t, "both workers to be in a plan", func() bool {
		out.Reset()
		err := errors.Join(rebalanceOnce(t.Context(), &out, set, true, true), json.Unmarshal(out.Bytes(), &p))
		return err == nil && len(p.Hosts) == 2
	})
	if len(p.Workers) != 1 || p.Workers[0].ID != full.ID() || p.Workers[0].Keep != 30 || p.Moves != 30 {
		t.Errorf("the plan is %s", out.String())
	}
	select {
	case o := <-full.orders:
		t.Errorf("a dry run orders %+v", o)
	default:
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		o := <-full.orders
		if o.Sessions != 30 || o.Keep != 30 || o.PerSecond != 100 {
			t.Errorf("the order is %+v", o)
		}
		full.moves(t)
		full.sessions.Store(30)
		full.Update(func(r *directory.Worker) { r.Moving = false })
	}()
	out.Reset()
	if err := rebalanceOnce(t.Context(), &out, set, false, false); err != nil {
		t.Error(err)
	}
	<-done
	for _, want := range []string{"app default: 60 sessions, 30.0 per worker", "east  1        60        30     30", "30 sessions move, in about 0 s", "HOST  SESSIONS  SHARE"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
}

// TestInterruptedRebalance calls the orders back.
func TestInterruptedRebalance(t *testing.T) {
	t.Parallel()
	redis := testkit.MiniRedis(t)
	full := startMovingWorker(t, redis, "east", 60)
	startMovingWorker(t, redis, "west", 0)
	ctx, interrupt := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if o := <-full.orders; o.Sessions != 30 {
			t.Errorf("the order is %+v", o)
		}
		full.moves(t)
		interrupt()
		if o := <-full.orders; o.Sessions != 0 {
			t.Errorf("the order after the interrupt is %+v", o)
		}
	}()
	set := rebalanceSettings(t, redis)
	var err error
	testkit.Until(t, "both workers to be known", func() bool {
		err = rebalanceOnce(ctx, new(bytes.Buffer), set, false, true)
		return err != nil
	})
	if !errors.Is(err, rebalance.ErrCalledBack) || !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	<-done
}
