package engineio

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
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

func newMetrics(r prometheus.Registerer) (*metrics, error) {
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
		for _, c := range []prometheus.Collector{sessions, handshakes, errs, closes, repeats, interrupted, m.limits, m.moved} {
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
