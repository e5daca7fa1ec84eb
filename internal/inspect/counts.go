package inspect

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Counts registers collectors elsewhere, and reads the counts of samples from them. So a sample has
// what Prometheus' metrics have, and nothing is counted twice.
type Counts struct {
	own  *prometheus.Registry // without the runtime's collectors, which take longer than all others
	next prometheus.Registerer
}

var _ prometheus.Registerer = (*Counts)(nil)

// NewCounts returns Counts that register collectors in next.
func NewCounts(next prometheus.Registerer) *Counts {
	return &Counts{prometheus.NewRegistry(), next}
}

func (c *Counts) Register(col prometheus.Collector) error {
	if err := c.next.Register(col); err != nil {
		return err
	}
	if err := c.own.Register(col); err != nil {
		c.next.Unregister(col)
		return err
	}
	return nil
}

// MustRegister registers collectors and panics at the first error.
func (c *Counts) MustRegister(cols ...prometheus.Collector) {
	for _, col := range cols {
		if err := c.Register(col); err != nil {
			panic(err)
		}
	}
}

func (c *Counts) Unregister(col prometheus.Collector) bool {
	c.own.Unregister(col)
	return c.next.Unregister(col)
}

// Own returns a sample with what this process uses.
func Own(p Process) Sample {
	s := Sample{Process: p, At: time.Now()}
	s.CPU, s.Memory, s.Goroutines = usage()
	return s
}

// Sample returns a sample of this process with all counts.
func (c *Counts) Sample(p Process) (Sample, error) {
	s := Own(p)
	families, err := c.own.Gather()
	for _, f := range families {
		if f.GetName() == "sidereal_socketio_event_seconds" {
			for _, m := range f.Metric {
				s.timed(m.GetHistogram())
			}
		}
		count := counted[f.GetName()]
		if count == nil {
			continue
		}
		for _, m := range f.Metric {
			label := ""
			if len(m.Label) > 0 {
				label = m.Label[0].GetValue()
			}
			count(&s, label, value(m))
		}
	}
	return s, errors.Join(err)
}

// timed adds the times of events. The buckets of the metric are those of LatencyBounds.
func (s *Sample) timed(h *dto.Histogram) {
	s.EventsTimed += h.GetSampleCount()
	var below uint64
	for i, b := range h.Bucket {
		if i < len(LatencyBounds) {
			s.Latency[i] += b.GetCumulativeCount() - below
			below = b.GetCumulativeCount()
		}
	}
	s.Latency[len(LatencyBounds)] += h.GetSampleCount() - below
}

// value returns the value of a counter or gauge.
func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

// counted adds the value of a metric to a sample, by the metric's name. A metric has at most one
// label.
var counted = map[string]func(s *Sample, label string, value float64){
	"sidereal_engine_sessions": func(s *Sample, transport string, n float64) {
		s.Sessions += int(n)
		if transport == "polling" {
			s.Polling += int(n)
		}
	},
	"sidereal_engine_handshakes_total": func(s *Sample, _ string, n float64) { s.Opened += uint64(n) },
	"sidereal_engine_closes_total":     func(s *Sample, _ string, n float64) { s.Closed += uint64(n) },
	"sidereal_engine_bytes_total": func(s *Sample, direction string, n float64) {
		*pick(direction == "in", &s.BytesIn, &s.BytesOut) += uint64(n)
	},
	"sidereal_socketio_sockets": func(s *Sample, _ string, n float64) { s.Sockets += int(n) },
	"sidereal_socketio_events_total": func(s *Sample, direction string, n float64) {
		*pick(direction == "in", &s.EventsIn, &s.EventsOut) += uint64(n)
	},
	"sidereal_socketio_panics_total":         func(s *Sample, _ string, n float64) { s.Errors += uint64(n) },
	"sidereal_socketio_handler_errors_total": func(s *Sample, _ string, n float64) { s.Errors += uint64(n) },
	"sidereal_router_connections": func(s *Sample, kind string, n float64) {
		s.Connections += int(n)
		if kind == "relayed" {
			s.Relayed += int(n)
		}
	},
	"sidereal_router_requests_total": func(s *Sample, _ string, n float64) { s.Requests += uint64(n) },
	"sidereal_router_refused_total": func(s *Sample, status string, n float64) {
		s.Refused += uint64(n)
		if status == "502" || status == "503" || status == "504" {
			s.Failures += uint64(n)
		}
	},
	"sidereal_redis_up": func(s *Sample, _ string, n float64) { s.UsesRedis, s.RedisUp = true, n == 1 },
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}
