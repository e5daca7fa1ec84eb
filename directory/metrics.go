package directory

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	workers    *prometheus.GaugeVec
	sids       prometheus.Gauge
	writes     *prometheus.CounterVec
	unreadable prometheus.Counter

	beatFailures prometheus.Counter
	blind        prometheus.Gauge
}

func newWorkersGauge() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sidereal_directory_workers",
		Help: "Workers of the app as this process knows them, by state: starting, ready, draining, lost, sick.",
	}, []string{"state"})
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		workers: newWorkersGauge(),
		sids: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_directory_sids",
			Help: "Sids whose owner this process remembers.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_directory_writes_total",
			Help: "Writes of sids to Redis: written, failed (tried again), delayed (Redis away), dropped (left a full cache unwritten).",
		}, []string{"outcome"}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_directory_unreadable_total",
			Help: "Records of workers and routers that could not be read: another format version, or damaged.",
		}),
		beatFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_directory_beat_failures_total",
			Help: "Beats of this process's records that Redis did not take.",
		}),
		blind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_directory_blind",
			Help: "1 while missing records prove nothing to this process, as its own is missing or old, else 0.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.workers, m.sids, m.writes, m.unreadable, m.beatFailures, m.blind} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) countWorkers(t *Table) { countWorkers(m.workers, t) }

func countWorkers(gauge *prometheus.GaugeVec, t *Table) {
	counts := map[State]int{StateStarting: 0, StateReady: 0, StateDraining: 0, StateLost: 0, StateSick: 0}
	for _, w := range t.All() {
		counts[w.State]++
	}
	for state, n := range counts {
		gauge.WithLabelValues(string(state)).Set(float64(n))
	}
}

// upstreamMetrics count what happens to upstreams.
type upstreamMetrics struct {
	checks    map[verdict]prometheus.Counter
	ejections prometheus.Counter
	sessions  prometheus.Gauge
}

func newUpstreamMetrics(reg prometheus.Registerer) (*upstreamMetrics, error) {
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_directory_upstream_checks_total",
		Help: "Checks of upstreams, by outcome: good, bad, refused.",
	}, []string{"outcome"})
	m := &upstreamMetrics{
		checks: make(map[verdict]prometheus.Counter),
		ejections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_directory_upstream_ejections_total",
			Help: "Ejections of upstreams: they get no new sessions for a while, because requests got no answer.",
		}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_directory_upstream_sessions",
			Help: "Sessions of upstreams whose requests this router carries.",
		}),
	}
	for _, v := range []verdict{good, bad, refused} {
		m.checks[v] = checks.WithLabelValues(v.String())
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(checks), reg.Register(m.ejections), reg.Register(m.sessions))
}
