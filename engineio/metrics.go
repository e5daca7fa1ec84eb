package engineio

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metrics are counted even if Config.Metrics is nil.
type metrics struct {
	polling, websocket                     prometheus.Gauge // sessions by their current transport
	pollingHandshakes, websocketHandshakes prometheus.Counter
	errors                                 [len(codeMessages)]prometheus.Counter
	closes                                 map[string]prometheus.Counter
	repeatedPolls, repeatedPosts           prometheus.Counter
	limits                                 *prometheus.CounterVec
	interrupted                            prometheus.Gauge
	moved                                  prometheus.Counter
}

func newMetrics(r prometheus.Registerer, t *traffic) (*metrics, error) {
	sessions := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sidereal_engine_sessions", Help: "Live Engine.IO sessions by current transport.",
	}, []string{"transport"})
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_engine_handshakes_total", Help: "Engine.IO sessions begun, by first transport.",
	}, []string{"transport"})
	errs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_engine_errors_total", Help: "Engine.IO requests refused, by protocol error code.",
	}, []string{"code"})
	closes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_engine_closes_total", Help: "Engine.IO sessions ended, by reason.",
	}, []string{"reason"})
	repeats := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_engine_repeats_total",
		Help: "Polling requests that a proxy or router repeated and that were recognised, by method.",
	}, []string{"method"})
	interrupted := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sidereal_engine_interrupted_sessions",
		Help: "Polling sessions whose router died with a request, and which wait for a proxy to repeat it.",
	})
	m := &metrics{
		polling: sessions.WithLabelValues(Polling), websocket: sessions.WithLabelValues(WebSocket),
		pollingHandshakes:   handshakes.WithLabelValues(Polling),
		websocketHandshakes: handshakes.WithLabelValues(WebSocket),
		closes:              make(map[string]prometheus.Counter),
		repeatedPolls:       repeats.WithLabelValues(http.MethodGet),
		repeatedPosts:       repeats.WithLabelValues(http.MethodPost),
		limits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sidereal_engine_limits_total", Help: "Sessions ended and posts refused because a client exceeded a limit, by the limit.",
		}, []string{"limit"}),
		interrupted: interrupted,
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_engine_moved_sessions_total", Help: "Engine.IO sessions ended so that their clients reconnect to another server: a rebalance.",
		}),
	}
	for _, limit := range []string{limitQueue, limitMessage} {
		m.limits.WithLabelValues(limit) // to be seen before the first
	}
	for code := range codeMessages {
		m.errors[code] = errs.WithLabelValues(strconv.Itoa(code))
	}
	for _, reason := range []string{TransportError, TransportClose, ForcedClose, PingTimeout, ParseError, ShuttingDown} {
		m.closes[reason] = closes.WithLabelValues(reason)
	}
	if r != nil {
		collectors := []prometheus.Collector{sessions, handshakes, errs, closes, repeats, interrupted, m.limits, m.moved}
		for _, c := range append(collectors, t.metrics()...) {
			if err := r.Register(c); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func (m *metrics) sessions(transport string) prometheus.Gauge {
	if transport == WebSocket {
		return m.websocket
	}
	return m.polling
}

func (m *metrics) handshakes(transport string) prometheus.Counter {
	if transport == WebSocket {
		return m.websocketHandshakes
	}
	return m.pollingHandshakes
}

// metrics returns the counters of messages and bytes.
func (t *traffic) metrics() (cs []prometheus.Collector) {
	count := func(name, help, direction string, n func() uint64) {
		cs = append(cs, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: name, Help: help, ConstLabels: prometheus.Labels{"direction": direction},
		}, func() float64 { return float64(n()) }))
	}
	const messages, bytes = "sidereal_engine_messages_total", "sidereal_engine_bytes_total"
	const messagesHelp = "Messages received from and sent to clients, without heartbeats."
	const bytesHelp = "Bytes of these messages, before compression and without framing."
	count(messages, messagesHelp, "in", func() uint64 { r, _ := t.sums(); return r.Messages })
	count(messages, messagesHelp, "out", func() uint64 { _, s := t.sums(); return s.Messages })
	count(bytes, bytesHelp, "in", func() uint64 { r, _ := t.sums(); return r.Bytes })
	count(bytes, bytesHelp, "out", func() uint64 { _, s := t.sums(); return s.Bytes })
	return cs
}

// value returns the value of a counter or gauge.
func value(m prometheus.Metric) float64 {
	var out dto.Metric
	_ = m.Write(&out) // those of this package never fail
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}
