package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// takeAway stops Redis and returns once the server knows.
func takeAway(t *testing.T, m *miniredis.Miniredis, s *server) {
	t.Helper()
	m.Close()
	testkit.Until(t, "the server to notice the outage", func() bool { return !s.Hears() })
}

func TestWhatWasSaidDuringAnOutageArrivesInOrder(t *testing.T) {
	m, s, a, l := pair(t, Config{})
	linktest.Emit(t, a, 0, cluster.Flags{})
	told := linktest.Wait(t, l, 1) // what Redis has taken and not passed on when it dies is lost
	takeAway(t, m, s)
	for i := 1; i < 1000; i++ {
		linktest.Emit(t, a, i, cluster.Flags{})
	}
	linktest.Emit(t, a, -1, cluster.Flags{Volatile: true}) // may be lost, and is
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	linktest.Emit(t, a, 1000, cluster.Flags{})
	told = append(told, linktest.Wait(t, l, 1000)...)
	for i, g := range told {
		if want := fmt.Sprintf(`["ev",%d]`, i); string(g.Payload.JSON) != want {
			t.Fatalf("%s came, want %s", g.Payload.JSON, want)
		}
	}
	if n := linktest.Counter(t, s.Metrics.dropped.WithLabelValues(volatile)); n != 1 {
		t.Errorf("%v volatile messages dropped", n)
	}
}

func TestTheBufferIsBoundedAndItsLossLoggedOnce(t *testing.T) {
	var lines bytes.Buffer
	m, s, a, l := pair(t, Config{BufferMessages: 3, Log: slog.New(loghandler.New(&lines, slog.LevelDebug))})
	takeAway(t, m, s)
	for i := range 10 {
		linktest.Emit(t, a, i, cluster.Flags{})
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	for i, g := range linktest.Wait(t, l, 3) {
		if want := fmt.Sprintf(`["ev",%d]`, 7+i); string(g.Payload.JSON) != want {
			t.Errorf("%s came, want %s", g.Payload.JSON, want)
		}
	}
	s.end()
	if n := linktest.Counter(t, s.Metrics.dropped.WithLabelValues(bufferFull)); n != 7 {
		t.Errorf("%v dropped", n)
	}
	if n := strings.Count(lines.String(), `"dropped":7`); n != 1 {
		t.Errorf("%d lines tell of it:\n%s", n, lines.String())
	}
}

func TestRequestsFailAtOnceWithoutRedis(t *testing.T) {
	m, s, a, l := pair(t, Config{})
	l.Handle = nil
	asked := make(chan error)
	go func() {
		_, err := linktest.AskServers(linktest.Background(t), a, linktest.Text(`"ask"`))
		asked <- err
	}()
	linktest.Wait(t, l, 1)
	takeAway(t, m, s)
	if err := <-asked; !errors.Is(err, ErrAway) {
		t.Errorf("under way: %v", err)
	}
	if _, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{}); !errors.Is(err, ErrAway) {
		t.Errorf("afterwards: %v", err)
	}
	if _, _, err := linktest.AskClients(linktest.Background(t), a, &cluster.Broadcast{Data: linktest.Text(`"ev"`)}, time.Hour); !errors.Is(err, ErrAway) {
		t.Errorf("to clients: %v", err)
	}
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the server to find Redis", s.Up)
	testkit.Until(t, "the socket of the other server to be found", func() bool {
		found, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{})
		return err == nil && len(found) == 1
	})
}

func TestServersStartWithoutRedis(t *testing.T) {
	m := miniredis.RunT(t)
	r := newSimple(t, Config{Conn: linktest.Connect(t, linktest.URL(m)), OwnConn: true})
	m.Close()
	a, err := r.Open(linktest.NewLocal("/"))
	if err != nil {
		t.Fatal(err)
	}
	linktest.Run(t, r)
	linktest.Emit(t, a, 1, cluster.Flags{})
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "what was said to be sent", func() bool { return r.Up() && linktest.Counter(t, r.Metrics.out) == 1 })
}

// TestRequestsThatBeginAsRedisIsLost: the subscription is down a moment before the adapter is told,
// and a request that begins then ends all the same.
func TestRequestsThatBeginAsRedisIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := unconnected(t)
		a, err := r.Open(linktest.NewLocal("/"))
		if err != nil {
			t.Fatal(err)
		}
		r.outages.known.Store(true)
		r.outages.up.Store(true) // the subscription is not: it was never run
		asked := make(chan error)
		go func() {
			_, err := linktest.Fetch(context.Background(), a, cluster.Target{})
			asked <- err
		}()
		synctest.Wait()
		r.outages.onDown()
		if err := <-asked; !errors.Is(err, ErrAway) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the request ended with %v", err)
		}
	})
}
