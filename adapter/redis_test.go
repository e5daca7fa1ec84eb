package adapter

import (
	"bytes"
	"context"
	"flag"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestMain looks for leaks. The library's pool dials a dead Redis once a second, and notices its
// own end only then. Tests that wait for each other's servers and for Redis need no core meanwhile,
// so more of them run beside each other than there are cores.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" && flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", strconv.Itoa(4*runtime.GOMAXPROCS(0)))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// server is one process of a cluster.
type server struct {
	*Redis
	stop context.CancelFunc
	done chan struct{}
}

// start runs a server that ends with the test, and returns once it hears the others.
func start(t testing.TB, cfg Config, locals ...*fakeLocal) (*server, []cluster.Adapter) {
	t.Helper()
	r, err := NewRedis(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return startRedis(t, r, locals...)
}

func startRedis(t testing.TB, r *Redis, locals ...*fakeLocal) (*server, []cluster.Adapter) {
	t.Helper()
	var err error
	adapters := make([]cluster.Adapter, len(locals))
	for i, l := range locals {
		if adapters[i], err = r.Open(l); err != nil {
			t.Fatal(err)
		}
	}
	s := run(t, r)
	if err := r.Wait(background(t)); err != nil {
		t.Fatal(err)
	}
	return s, adapters
}

// forgetful is a form whose messages are overwritten as soon as it says that it keeps nothing of them.
type forgetful struct{ form }

func (f forgetful) receive(channel string, payload []byte) (kept bool, err error) {
	c, p := []byte(channel), bytes.Clone(payload)
	kept, err = f.form.receive(unsafe.String(unsafe.SliceData(c), len(c)), p)
	if !kept {
		for _, b := range [][]byte{c, p} {
			for i := range b {
				b[i] = '?'
			}
		}
	}
	return kept, err
}

// run runs a server that ends with the test.
func run(t testing.TB, r *Redis) *server {
	r.form = forgetful{r.form}
	ctx, stop := context.WithCancel(context.Background())
	s := &server{Redis: r, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(s.end)
	return s
}

func (s *server) end() {
	s.stop()
	<-s.done
}

// link returns once every server knows all others by name.
func link(t testing.TB, servers ...*server) {
	t.Helper()
	for _, s := range servers {
		testkit.Until(t, "the servers to know each other", func() bool {
			s.peers.mu.Lock()
			defer s.peers.mu.Unlock()
			return len(s.peers.known) == len(servers)-1
		})
	}
}

// wait returns the next n things that l was told.
func wait(t testing.TB, l *fakeLocal, n int) (log []got) {
	t.Helper()
	timeout := time.After(time.Minute)
	for len(log) < n {
		select {
		case <-l.arrived:
			log = append(log, l.take()...)
		case <-timeout:
			t.Fatalf("%s was told %d things, want %d", l.name, len(log), n)
		}
	}
	return log
}

// background is a context that bounds the test.
func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, m *miniredis.Miniredis) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func url(m *miniredis.Miniredis) string { return "redis://" + m.Addr() }

func counter(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
