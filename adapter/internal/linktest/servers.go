package linktest

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Main runs a package's tests and looks for leaks. The library's pool dials a dead Redis once a
// second, and notices its own end only then. Tests that wait for each other's servers and for Redis
// need no core meanwhile, so more of them run beside each other than there are cores.
func Main(m *testing.M) {
	testkit.ManyWait()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// Server is one process of a cluster.
type Server interface {
	Open(cluster.Local) (cluster.Adapter, error)
	Run(context.Context) error
	Wait(context.Context) error
}

// Start opens namespaces on a server, runs it until the test ends or end is called, and returns
// once it hears the others.
func Start[L cluster.Local](t testing.TB, s Server, locals ...L) (adapters []cluster.Adapter, end func()) {
	t.Helper()
	for _, l := range locals {
		a, err := s.Open(l)
		if err != nil {
			t.Fatal(err)
		}
		adapters = append(adapters, a)
	}
	end = Run(t, s)
	if err := s.Wait(Background(t)); err != nil {
		t.Fatal(err)
	}
	return adapters, end
}

// Run runs a server until the test ends or end is called.
func Run(t testing.TB, s Server) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	end = func() {
		stop()
		<-done
	}
	t.Cleanup(end)
	return end
}

// Meet returns once every server knows all others by name.
func Meet[S interface{ KnownPeers() int }](t testing.TB, servers ...S) {
	t.Helper()
	for _, s := range servers {
		testkit.Until(t, "the servers to know each other", func() bool { return s.KnownPeers() == len(servers)-1 })
	}
}

// Overwrite calls receive with a copy of a message, and overwrites that unless receive says that it
// keeps some of it.
func Overwrite(receive func(string, []byte) (bool, error), channel string, payload []byte) (kept bool, err error) {
	c, p := []byte(channel), bytes.Clone(payload)
	kept, err = receive(unsafe.String(unsafe.SliceData(c), len(c)), p)
	if !kept {
		for _, b := range [][]byte{c, p} {
			for i := range b {
				b[i] = '?'
			}
		}
	}
	return kept, err
}

// Wait returns the next n things that l was told.
func Wait(t testing.TB, l *Local, n int) (log []Got) {
	t.Helper()
	timeout := time.After(time.Minute)
	for len(log) < n {
		select {
		case <-l.Arrived:
			log = append(log, l.Take()...)
		case <-timeout:
			t.Fatalf("%s was told %d things, want %d", l.name, len(log), n)
		}
	}
	return log
}

// Emit broadcasts the event "ev" with a number.
func Emit(t testing.TB, a cluster.Adapter, n int, flags cluster.Flags) {
	t.Helper()
	if err := a.Broadcast(&cluster.Broadcast{Data: Text(`"ev"`, fmt.Sprint(n)), Flags: flags}); err != nil {
		t.Fatal(err)
	}
}

// Background is a context that bounds the test.
func Background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Connect opens a connection that somebody else closes.
func Connect(t testing.TB, url string) *redisconn.Conn {
	t.Helper()
	conn, err := redisconn.Open(redisconn.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Dial connects a client to a Redis.
func Dial(t testing.TB, m *miniredis.Miniredis) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// URL is a Redis's.
func URL(m *miniredis.Miniredis) string { return "redis://" + m.Addr() }

// Counter reads a counter.
func Counter(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// Count reads a counter of a registry, by its name and the values of its labels.
func Count(t testing.TB, reg *prometheus.Registry, name string, values ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			match := f.GetName() == name && len(m.Label) == len(values)
			for i := range values {
				match = match && m.Label[i].GetValue() == values[i]
			}
			if match {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
