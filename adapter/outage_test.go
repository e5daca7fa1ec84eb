package adapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// pair is two servers that know each other; the second has a socket.
func pair(t *testing.T, cfg Config) (m *miniredis.Miniredis, sender *server, a cluster.Adapter, l *fakeLocal) {
	t.Helper()
	m = miniredis.RunT(t)
	cfg.URL = url(m)
	sender, adapters := start(t, cfg, newFakeLocal("/"))
	l = newFakeLocal("/", &fakeSocket{id: "s", name: "s"})
	receiver, _ := start(t, Config{URL: cfg.URL}, l)
	link(t, sender, receiver)
	return m, sender, adapters[0], l
}

// takeAway stops Redis and returns once the server knows.
func takeAway(t *testing.T, m *miniredis.Miniredis, s *server) {
	t.Helper()
	m.Close()
	testkit.Until(t, "the server to notice the outage", func() bool { return !s.up.Load() })
}

func emit(t *testing.T, a cluster.Adapter, n int, flags cluster.Flags) {
	t.Helper()
	if err := a.Broadcast(&cluster.Broadcast{Data: text(`"ev"`, fmt.Sprint(n)), Flags: flags}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasSaidDuringAnOutageArrivesInOrder(t *testing.T) {
	m, s, a, l := pair(t, Config{})
	emit(t, a, 0, cluster.Flags{})
	told := wait(t, l, 1) // what Redis has taken and not passed on when it dies is lost
	takeAway(t, m, s)
	for i := 1; i < 1000; i++ {
		emit(t, a, i, cluster.Flags{})
	}
	emit(t, a, -1, cluster.Flags{Volatile: true}) // may be lost, and is
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	emit(t, a, 1000, cluster.Flags{})
	told = append(told, wait(t, l, 1000)...)
	for i, g := range told {
		if want := fmt.Sprintf(`["ev",%d]`, i); string(g.payload.JSON) != want {
			t.Fatalf("%s came, want %s", g.payload.JSON, want)
		}
	}
	if n := counter(t, s.metrics.dropped.WithLabelValues(volatile)); n != 1 {
		t.Errorf("%v volatile messages dropped", n)
	}
}

func TestTheBufferIsBoundedAndItsLossLoggedOnce(t *testing.T) {
	var lines bytes.Buffer
	m, s, a, l := pair(t, Config{BufferMessages: 3, Log: zerolog.New(zerolog.SyncWriter(&lines))})
	takeAway(t, m, s)
	for i := range 10 {
		emit(t, a, i, cluster.Flags{})
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	for i, g := range wait(t, l, 3) {
		if want := fmt.Sprintf(`["ev",%d]`, 7+i); string(g.payload.JSON) != want {
			t.Errorf("%s came, want %s", g.payload.JSON, want)
		}
	}
	s.end()
	if n := counter(t, s.metrics.dropped.WithLabelValues(bufferFull)); n != 7 {
		t.Errorf("%v dropped", n)
	}
	if n := strings.Count(lines.String(), `"dropped":7`); n != 1 {
		t.Errorf("%d lines tell of it:\n%s", n, lines.String())
	}
}

func TestRequestsFailAtOnceWithoutRedis(t *testing.T) {
	m, s, a, l := pair(t, Config{})
	l.handle = nil
	asked := make(chan error)
	go func() {
		_, err := a.ServerSideEmitWithAck(background(t), text(`"ask"`))
		asked <- err
	}()
	wait(t, l, 1)
	takeAway(t, m, s)
	if err := <-asked; !errors.Is(err, ErrAway) {
		t.Errorf("under way: %v", err)
	}
	if _, err := a.FetchSockets(background(t), cluster.Target{}); !errors.Is(err, ErrAway) {
		t.Errorf("afterwards: %v", err)
	}
	if err := a.BroadcastWithAck(background(t), &cluster.Broadcast{Data: text(`"ev"`)}, time.Hour, nil, nil); !errors.Is(err, ErrAway) {
		t.Errorf("to clients: %v", err)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the server to find Redis", s.Up)
	testkit.Until(t, "the socket of the other server to be found", func() bool {
		found, err := a.FetchSockets(background(t), cluster.Target{})
		return err == nil && len(found) == 1
	})
}

func TestServersStartWithoutRedis(t *testing.T) {
	m := miniredis.RunT(t)
	r, err := NewRedis(Config{URL: url(m)})
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	a, err := r.Open(newFakeLocal("/"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, r)
	emit(t, a, 1, cluster.Flags{})
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "what was said to be sent", func() bool { return r.Up() && counter(t, r.metrics.out) == 1 })
}

// TestRequestsThatBeginAsRedisIsLost: the subscription is down a moment before the adapter is told, and a request that begins
// then ends all the same.
func TestRequestsThatBeginAsRedisIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := NewRedis(Config{URL: "redis://127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.conn.Close()
		a, err := r.Open(newFakeLocal("/"))
		if err != nil {
			t.Fatal(err)
		}
		r.known.Store(true)
		r.up.Store(true) // the subscription is not: it was never run
		asked := make(chan error)
		go func() {
			_, err := a.FetchSockets(context.Background(), cluster.Target{})
			asked <- err
		}()
		synctest.Wait()
		r.onDown()
		if err := <-asked; !errors.Is(err, ErrAway) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the request ended with %v", err)
		}
	})
}
