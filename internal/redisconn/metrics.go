package redisconn

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted even without a registry.
type metrics struct {
	up     prometheus.Gauge
	probes prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (metrics, error) {
	m := metrics{
		prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_redis_up",
			Help: "1 while Redis answers this process, else 0.",
		}),
		prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sidereal_redis_seconds", Help: "Time that Redis took to answer a probe.",
			Buckets:                     []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3},
			NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBucketNumber: 60, NativeHistogramMinResetDuration: time.Hour,
		}),
	}
	if reg == nil {
		return m, nil
	}
	return m, errors.Join(reg.Register(m.up), reg.Register(m.probes))
}

func (m metrics) set(up bool) {
	if up {
		m.up.Set(1)
	} else {
		m.up.Set(0)
	}
}
