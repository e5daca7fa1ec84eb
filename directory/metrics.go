package directory

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	workers    *prometheus.GaugeVec
	sids       prometheus.Gauge
	writes     *prometheus.CounterVec
	unreadable prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		workers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidereal_directory_workers",
			Help: "Workers of the app as this process knows them, by state: starting, ready, draining, lost.",
		}, []string{"state"}),
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
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.workers, m.sids, m.writes, m.unreadable} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) countWorkers(t *Table) {
	counts := map[State]int{StateStarting: 0, StateReady: 0, StateDraining: 0, StateLost: 0}
	for _, w := range t.All() {
		counts[w.State]++
	}
	for state, n := range counts {
		m.workers.WithLabelValues(string(state)).Set(float64(n))
	}
}
