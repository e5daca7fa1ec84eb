package adapter

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { linktest.Main(m) }

// server is one process of a cluster.
type server struct {
	*Adapter
	metrics *prometheus.Registry
	end     func()
}

// KnownPeers is how many other processes of ours it knows.
func (s *server) KnownPeers() int { return s.form.(interface{ KnownPeers() int }).KnownPeers() }

// settled reports whether it hears all the channels that it wants to hear.
func (s *server) settled() bool { return s.Settled() }

// at is the Redis of a URL.
func at(url string) sidereal.Redis { return sidereal.Redis{URL: url} }

// on is a configuration for a Redis.
func on(url string) Config { return Config{Redis: at(url)} }

// start runs a server that ends with the test, and returns once it hears the others.
func start[L cluster.Local](t testing.TB, cfg Config, locals ...L) (*server, []cluster.Adapter) {
	t.Helper()
	if cfg.wrap == nil {
		cfg.wrap = func(f link.Form) link.Form { return forgetful{f} }
	}
	metrics := prometheus.NewRegistry()
	cfg.Metrics = metrics
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	adapters, end := linktest.Start(t, a, locals...)
	return &server{a, metrics, end}, adapters
}

// forgetful is a form whose messages are overwritten as soon as it says that it keeps nothing of
// them.
type forgetful struct{ link.Form }

func (f forgetful) Receive(channel string, payload []byte) (kept bool, err error) {
	return linktest.Overwrite(f.Form.Receive, channel, payload)
}

// dropped counts the messages that it has dropped for a reason.
func (s *server) dropped(t testing.TB, reason string) float64 {
	t.Helper()
	return linktest.Count(t, s.metrics, "sidereal_adapter_dropped_total", reason)
}

// gaps counts the gaps that it has noticed.
func (s *server) gaps(t testing.TB) float64 {
	t.Helper()
	return linktest.Count(t, s.metrics, "sidereal_adapter_gaps_total")
}
