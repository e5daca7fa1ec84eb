package link

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a message was dropped: values of the label reason.
const (
	Malformed  = "malformed"   // received; Node wouldn't have sent it
	Oversized  = "oversized"   // received; longer than MaxMessageBytes
	bufferFull = "buffer_full" // waiting; later ones took its place
	expired    = "expired"     // waiting; longer than BufferAge
	volatile   = "volatile"    // may be lost, and Redis was away
	Refused    = "refused"     // sent; Redis refused it
	uncertain  = "uncertain"   // sent; Redis didn't answer, and may have carried it out
	shutdown   = "shutdown"    // waiting; the process ended first
	Trimmed    = "trimmed"     // sent by others; gone from the stream before it was read
)

// Metrics counts. Without a registry nobody reads it. Links with the same registry share their
// counts.
type Metrics struct {
	in, out, skipped prometheus.Counter
	dropped          *prometheus.CounterVec
	requests         *prometheus.CounterVec
	gaps             prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*Metrics, error) {
	var failed error
	messages := Share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_adapter_messages_total",
		Help: "Messages between servers: received and carried out (in), published (out), received and not for this process (skipped).",
	}, []string{"direction"}))
	m := &Metrics{
		in:      messages.WithLabelValues("in"),
		out:     messages.WithLabelValues("out"),
		skipped: messages.WithLabelValues("skipped"),
		dropped: Share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_adapter_dropped_total",
			Help: "Messages between servers that were lost, by reason.",
		}, []string{"reason"})),
		requests: Share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_adapter_requests_total",
			Help: "Requests to the other servers by outcome: complete, alone (nobody to ask), timeout, away, canceled, closed.",
		}, []string{"outcome"})),
		gaps: Share(reg, &failed, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_adapter_gaps_total",
			Help: "Times after which messages of other servers may have been missed: Redis was away or cut us off, or channels went to another node of a cluster.",
		})),
	}
	for _, reason := range []string{Malformed, Oversized, bufferFull, expired, volatile, Refused, uncertain, shutdown, Trimmed} {
		m.dropped.WithLabelValues(reason)
	}
	return m, failed
}

// Share registers a collector, or returns the one that another link of the process has registered.
func Share[C prometheus.Collector](reg prometheus.Registerer, failed *error, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var registered prometheus.AlreadyRegisteredError
	if errors.As(err, &registered) {
		if other, ok := registered.ExistingCollector.(C); ok {
			return other
		}
	}
	*failed = errors.Join(*failed, err)
	return c
}

// Drop counts n messages that were dropped for a reason.
func (m *Metrics) Drop(reason string, n int) {
	if n > 0 {
		m.dropped.WithLabelValues(reason).Add(float64(n))
	}
}
