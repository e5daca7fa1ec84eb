package handoff

import "github.com/prometheus/client_golang/prometheus"

// Register shows what Lost counts as sidereal_handoff_lost_total.
func (l *Listener) Register(reg prometheus.Registerer) error {
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "sidereal_handoff_lost_total",
		Help: "Connections that this host's router passed and that could not be used: no descriptors left, mostly.",
	}, func() float64 { return float64(l.Lost()) }))
}
