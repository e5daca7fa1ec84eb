package socketio

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The kinds of violations that close a connection.
const (
	violationMalformed = "malformed"       // not a packet
	violationState     = "state"           // a packet that does not fit the state of its namespace
	violationLimit     = "limit"           // too many attachments or namespaces, or too much that waits
	violationRate      = "rate"            // too many events in a second
	violationRooms     = "rooms"           // too many rooms
	violationSlow      = "attachments"     // which did not come in time
	violationTimeout   = "connect_timeout" // no namespace joined in time
)

// Why a client with a snapshot isn't recovered.
const (
	unrecoveredData  = "data"  // a stored value doesn't fit its key, or there is too much
	unrecoveredRooms = "rooms" // too many
	unrecoveredApp   = "app"   // OnRecover returned an error
)

// metrics are counted whether or not they are registered. The names are a contract.
type metrics struct {
	sockets     prometheus.Gauge
	in, out     prometheus.Counter
	panics      prometheus.Counter
	undecoded   prometheus.Counter
	failures    prometheus.Counter
	unasked     prometheus.Counter
	violations  *prometheus.CounterVec
	unrecovered *prometheus.CounterVec
	handling    prometheus.Histogram
}

// handlingBounds are those of inspect.LatencyBounds, in seconds.
var handlingBounds = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_socketio_events_total", Help: "Events received from and sent to clients; a broadcast counts once for each client.",
	}, []string{"direction"})
	m := &metrics{
		sockets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sidereal_socketio_sockets", Help: "Connected sockets, of all namespaces.",
		}),
		in:  events.WithLabelValues("in"),
		out: events.WithLabelValues("out"),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_socketio_panics_total", Help: "Panics in handlers and middlewares, contained.",
		}),
		undecoded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_socketio_undecodable_total", Help: "Events whose arguments did not fit their handler.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_socketio_handler_errors_total", Help: "Errors that handlers returned and clients were not shown.",
		}),
		unasked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_socketio_refused_acks_total", Help: "Questions not asked, since the socket owed too many answers.",
		}),
		violations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_socketio_violations_total", Help: "Connections closed for what the client sent, or did not send.",
		}, []string{"kind", "limit"}),
	}
	m.unrecovered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_socketio_unrecovered_total", Help: "Clients that came back with a snapshot and started anew.",
	}, []string{"reason"})
	m.handling = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sidereal_socketio_event_seconds", Help: "Time of an event's middlewares and handlers.",
		Buckets: handlingBounds, NativeHistogramBucketFactor: 1.2, NativeHistogramMaxBucketNumber: 60, NativeHistogramMinResetDuration: time.Hour,
	})
	for _, reason := range []string{unrecoveredData, unrecoveredRooms, unrecoveredApp} {
		m.unrecovered.WithLabelValues(reason)
	}
	for kind, limits := range limitsOf {
		for _, limit := range limits {
			m.violations.WithLabelValues(kind, limit) // to be seen before the first
		}
	}
	if r == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.sockets, events, m.panics, m.undecoded, m.failures, m.unasked, m.violations, m.unrecovered, m.handling} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
