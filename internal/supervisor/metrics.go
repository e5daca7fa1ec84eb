package supervisor

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	restarts *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, specs []Spec) *metrics {
	m := &metrics{restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_supervisor_restarts_total",
		Help: "Ends of a process that nobody asked for.",
	}, []string{"name"})}
	for _, s := range specs {
		m.restarts.WithLabelValues(s.Name) // shown from the start, as 0
	}
	if reg != nil {
		reg.MustRegister(m.restarts)
	}
	return m
}
