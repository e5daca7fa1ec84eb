package adapter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a message was dropped: values of the label reason.
const (
	malformed  = "malformed"   // received; Node would not have sent it
	oversized  = "oversized"   // received; longer than MaxMessageBytes
	bufferFull = "buffer_full" // to be sent; others came after it
	expired    = "expired"     // to be sent; waited longer than BufferAge
	volatile   = "volatile"    // to be sent; may be lost, and Redis was away
	refused    = "refused"     // sent; Redis did not want it
	uncertain  = "uncertain"   // sent; Redis did not answer, and may or may not have carried it out
	shutdown   = "shutdown"    // to be sent; the process ended first
	trimmed    = "trimmed"     // sent by others; gone from the stream before it was read
)

// metrics counts; without a registry nobody reads it. Clusters that have one registry share their counts.
type metrics struct {
	in, out, skipped prometheus.Counter
	dropped          *prometheus.CounterVec
	requests         *prometheus.CounterVec
	gaps             prometheus.Counter
	recoveries       *prometheus.CounterVec
}

// How it ended that a client came back: values of the label outcome. The others are away and malformed.
const (
	recovered = "recovered"
	unknown   = "unknown" // no such session
	gone      = "gone"    // what it missed is not known any more
	taken     = "taken"   // by another server in the same moment
	foreign   = "foreign" // the session is of another namespace
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var failed error
	messages := share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_adapter_messages_total",
		Help: "Messages between servers: received and carried out (in), published (out), received and not for this process (skipped).",
	}, []string{"direction"}))
	m := &metrics{
		in:      messages.WithLabelValues("in"),
		out:     messages.WithLabelValues("out"),
		skipped: messages.WithLabelValues("skipped"),
		dropped: share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_adapter_dropped_total",
			Help: "Messages between servers that were lost, by reason.",
		}, []string{"reason"})),
		requests: share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_adapter_requests_total",
			Help: "Requests to the other servers by outcome: complete, alone (nobody to ask), timeout, away, canceled, closed.",
		}, []string{"outcome"})),
		gaps: share(reg, &failed, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_adapter_gaps_total",
			Help: "Times after which messages of other servers may have been missed: Redis was away or cut us off, or channels went to another node of a cluster.",
		})),
	}
	m.recoveries = share(reg, &failed, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_adapter_recoveries_total",
		Help: "Clients that came back with a session of before, by outcome: recovered, unknown, gone, taken, foreign, away, malformed.",
	}, []string{"outcome"}))
	for _, reason := range []string{malformed, oversized, bufferFull, expired, volatile, refused, uncertain, shutdown, trimmed} {
		m.dropped.WithLabelValues(reason)
	}
	return m, failed
}

// share registers a collector, or finds the one that another cluster of the process has registered.
func share[C prometheus.Collector](reg prometheus.Registerer, failed *error, c C) C {
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

func (m *metrics) drop(reason string, n int) {
	if n > 0 {
		m.dropped.WithLabelValues(reason).Add(float64(n))
	}
}
