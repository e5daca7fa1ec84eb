package node

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// reasons are why a message doesn't reach all other servers.
var reasons = []string{"value", "size", "busy", "namespace", "servers", "unread"}

// metrics counts; without a registry nobody reads it.
type metrics struct {
	children    prometheus.Gauge
	frames      prometheus.Counter
	malformed   prometheus.Counter
	uncarried   *prometheus.CounterVec
	connections *prometheus.CounterVec
	scrapes     *prometheus.CounterVec
}

// newMetrics makes the metrics. sessions counts those of programs, usages are those of Node
// processes.
func newMetrics(reg prometheus.Registerer, sessions func() int, usages func() []Usage) (*metrics, error) {
	m := &metrics{
		children: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_nodehost_processes", Help: "Node processes whose channel is open.",
		}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_nodehost_messages_total", Help: "Messages of Node processes.",
		}),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_nodehost_malformed_total", Help: "Messages of Node processes, or for them, that cannot be read or carried further.",
		}),
		uncarried: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_nodehost_uncarried_total",
			Help: "Messages of Node processes that didn't reach all other servers, by reason: a value that can't be sent (value), too many bytes (size), too many open questions (busy), namespaces (namespace), or Socket.IO servers of a process (servers), a process that doesn't read (unread).",
		}, []string{"reason"}),
		connections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_nodehost_connections_total",
			Help: "Connections of routers by what became of them: given to a Node process (local: a router's pair; client: a WebSocket itself; peer: another host's router), copied, refused.",
		}, []string{"kind"}),
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_nodehost_scrapes_total",
			Help: "Requests for the metrics of prom-client in Node processes, by outcome: answered, failed (by prom-client), timeout, skipped (after an earlier request), oversized (some left out), malformed (some left out).",
		}, []string{"outcome"}),
	}
	for _, outcome := range promOutcomes {
		m.scrapes.WithLabelValues(outcome)
	}
	for _, reason := range reasons {
		m.uncarried.WithLabelValues(reason)
	}
	for _, kind := range []string{"local", "client", "peer", "copied", "refused"} {
		m.connections.WithLabelValues(kind)
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.children), reg.Register(m.frames), reg.Register(m.malformed), reg.Register(m.uncarried), reg.Register(m.connections), reg.Register(m.scrapes),
		reg.Register(usageMetrics{usages}),
		reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sidereal_nodehost_program_sessions", Help: "Sessions of programs that have a port of their own.",
		}, func() float64 { return float64(sessions()) })))
}
