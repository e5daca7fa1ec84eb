package redisconn

import "github.com/prometheus/client_golang/prometheus"

// gauge is sidereal_redis_up; without a registry it counts for nobody.
type gauge struct{ g prometheus.Gauge }

func newGauge(reg prometheus.Registerer) (gauge, error) {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sidereal_redis_up",
		Help: "1 while Redis answers this process, else 0.",
	})
	if reg == nil {
		return gauge{g}, nil
	}
	return gauge{g}, reg.Register(g)
}

func (g gauge) set(up bool) {
	if up {
		g.g.Set(1)
	} else {
		g.g.Set(0)
	}
}
