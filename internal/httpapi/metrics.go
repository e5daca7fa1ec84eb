package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted by operation and by the name of the key: their numbers are bounded.
type metrics struct {
	actions  *prometheus.CounterVec
	requests *prometheus.HistogramVec
	refused  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_api_actions_total",
			Help: "Actions of the HTTP API, by operation, key and the status of their answer; each line of a batch is one.",
		}, []string{"operation", "key", "status"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sidereal_api_request_seconds", Help: "Time that requests to the HTTP API took, by operation.",
			Buckets:                     []float64{.001, .005, .025, .1, .5, 1, 5, 10, 60},
			NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBucketNumber: 60, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"operation"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_api_refused_total",
			Help: "Requests that the HTTP API refused before it knew what they ask for, by status.",
		}, []string{"status"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.actions, m.requests, m.refused} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// count counts an action that was carried out, or failed.
func (m *metrics) count(operation string, c *caller, status int) {
	m.actions.WithLabelValues(operation, c.Name, strconv.Itoa(status)).Inc()
}

func (m *metrics) took(operation string, since time.Time) {
	m.requests.WithLabelValues(operation).Observe(time.Since(since).Seconds())
}

func (m *metrics) refuse(status int) { m.refused.WithLabelValues(strconv.Itoa(status)).Inc() }
