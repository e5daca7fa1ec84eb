package streams

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// bounded is a server whose stream has a bound in bytes.
type bounded struct {
	*Form
	local    *linktest.Local
	adapter  cluster.Adapter
	registry *prometheus.Registry
	log      *bytes.Buffer // read once the server has ended
}

func openBounded(t *testing.T, url string, maxBytes int) *bounded {
	t.Helper()
	s := &bounded{local: linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"}), registry: prometheus.NewRegistry(), log: new(bytes.Buffer)}
	var err error
	s.Form, err = New(link.Config{
		Conn: linktest.Connect(t, url), OwnConn: true, Metrics: s.registry, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}, Config{MaxBytes: maxBytes})
	if err != nil {
		t.Fatal(err)
	}
	adapters, _ := linktest.Start(t, s.Form, s.local)
	s.adapter = adapters[0]
	return s
}

// awaits returns once the client of the server got n events.
func (s *bounded) awaits(t *testing.T, n int) { linktest.Wait(t, s.local, n) }

func upload(bytes int) *cluster.Broadcast {
	return &cluster.Broadcast{Data: packet.Payload{JSON: []byte(`["upload","` + strings.Repeat("x", bytes) + `"]`)}}
}

// Redis holds at most what the bound says, whoever writes to the stream: one server, several, or
// one that knows no bound, such as Node's. An allocator may add a quarter. Every message arrives.
func TestStreamsStayBelowTheirBound(t *testing.T) {
	t.Parallel()
	const maxBytes, one, uploads = 4 << 20, 300 << 10, 60
	for name, writer := range map[string]func(r *testkit.Redis, a, b *bounded, i int) error{
		"one server": func(_ *testkit.Redis, a, _ *bounded, _ int) error { return a.adapter.Broadcast(upload(one)) },
		"two servers": func(_ *testkit.Redis, a, b *bounded, i int) error {
			return []*bounded{a, b}[i%2].adapter.Broadcast(upload(one))
		},
		"a server without a bound": func(r *testkit.Redis, _, _ *bounded, _ int) error {
			data, err := wire.AppendEntryData(nil, wire.Request{Type: wire.BroadcastWithAck, Options: link.Options(cluster.Target{}, cluster.Flags{}), Data: upload(one).Data})
			r.Do("XADD", "socket.io", "MAXLEN", "~", "10000", "*", "uid", "node", "nsp", "/", "type", "3", "data", data)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			a, b := openBounded(t, r.URL(), maxBytes), openBounded(t, r.URL(), maxBytes)
			wait := func() { a.awaits(t, 1); b.awaits(t, 1) }
			for i := range uploads {
				if err := writer(r, a, b, i); err != nil {
					t.Fatal(err)
				}
				switch name {
				case "one server":
					b.awaits(t, 1)
				case "two servers":
					[]*bounded{b, a}[i%2].awaits(t, 1)
				default:
					wait()
				}
			}
			var used int64
			testkit.Until(t, "the stream to be trimmed", func() bool {
				used = r.Do("MEMORY", "USAGE", "socket.io", "SAMPLES", 0).(int64)
				return used <= maxBytes*5/4
			})
			if used < maxBytes/2 {
				t.Errorf("the stream has %d bytes of %d", used, maxBytes)
			}
			for _, s := range []*bounded{a, b} {
				if n := linktest.Count(t, s.registry, "sidereal_adapter_dropped_total", link.Trimmed); n != 0 {
					t.Errorf("%v messages were trimmed before they were read", n)
				}
			}
		})
	}
}

// A message that the stream can't keep says so, and is delivered here and elsewhere.
func TestMessagesTooLargeForRecovery(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	var a, b *bounded
	t.Run("servers", func(t *testing.T) {
		a, b = openBounded(t, r.URL(), 800_000), openBounded(t, r.URL(), 800_000)
		rec := a.adapter.(*namespace).Recover(time.Minute, 1<<20, func(cluster.Snapshot) {})
		for i, size := range []int{1000, 600_000, 750_000, 900_000, 1000} {
			if err := rec.Emit(upload(size)); err != nil {
				t.Fatal(i, err)
			}
			a.awaits(t, 1)
			b.awaits(t, 1)
		}
		loud := upload(900_000)
		loud.Flags.Volatile = true
		if err := rec.Emit(loud); err != nil {
			t.Fatal(err)
		}
		a.awaits(t, 1)
		b.awaits(t, 1)
	})
	if n := linktest.Count(t, a.registry, "sidereal_adapter_unrecoverable_total"); n != 2 {
		t.Errorf("%v messages are counted, want 2", n)
	}
	lines := strings.Split(strings.TrimSpace(a.log.String()), "\n")
	if len(lines) != 1 || !strings.Contains(lines[0], "message too large for recovery") || !strings.Contains(lines[0], "event=upload") || !strings.Contains(lines[0], "limit_bytes=700000") {
		t.Errorf("logged %q, want one line", lines)
	}
}

// A server that starts with recovery reads what the stream has, and counts it.
func TestBoundCountsWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	for range 8 {
		r.Do("XADD", "socket.io", "*", "uid", "node", "nsp", "/", "type", "3", "data", strings.Repeat("x", 100_000))
	}
	f, err := New(link.Config{Conn: linktest.Connect(t, r.URL()), OwnConn: true}, Config{MaxBytes: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	a, err := f.Open(l)
	if err != nil {
		t.Fatal(err)
	}
	a.(*namespace).Recover(time.Minute, 1<<20, func(cluster.Snapshot) {})
	linktest.Run(t, f)
	if err := f.Wait(linktest.Background(t)); err != nil {
		t.Fatal(err)
	}
	if err := a.Broadcast(upload(10)); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the stream to be trimmed", func() bool {
		return r.Do("XLEN", "socket.io").(int64) <= 5
	})
}
