package supervisor

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	restarts *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_supervisor_restarts_total",
		Help: "Ends of a process that nobody asked for.",
	}, []string{"name"})}
	if reg != nil {
		reg.MustRegister(m.restarts)
	}
	return m
}
