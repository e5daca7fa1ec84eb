package router

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests     *prometheus.CounterVec
	upstream     *prometheus.CounterVec
	refused      *prometheus.CounterVec
	connections  *prometheus.GaugeVec
	transferred  *prometheus.CounterVec
	acceptErrors prometheus.Counter
	tlsErrors    prometheus.Counter
	proxyErrors  prometheus.Counter
	h2Errors     prometheus.Counter
	evicted      *prometheus.CounterVec
	repeats      prometheus.Counter

	// Resolved once: a label look-up costs more than a table look-up.
	decisions        map[string]prometheus.Counter
	limited          map[limit]prometheus.Counter
	refused503       prometheus.Counter
	proxied, relayed prometheus.Gauge
	accepted         prometheus.Counter
}

// Decisions that are not the directory's.
const (
	decisionBalanced = "balanced" // a new session
	decisionApp      = "app"      // not a session's request
	decisionDoor     = "door"     // another router decided
	decisionUnknown  = "unknown"  // a sid that nobody owns
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		requests: counter("sidereal_router_requests_total",
			"Requests by how their worker was found: cache, table, tag, balanced, unknown, app, door.", "decision"),
		upstream: counter("sidereal_router_upstream_errors_total",
			"What went wrong between router and worker, by kind: dial, gone, full, read, response, stalled, key, none (no ready worker).", "kind"),
		refused: counter("sidereal_router_refused_total",
			"Requests that the router itself answered, by status.", "status"),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sidereal_router_connections",
			Help: "Connections in this router: proxied (speaking HTTP) and relayed (WebSockets).",
		}, []string{"kind"}),
		transferred: counter("sidereal_router_connections_total",
			"Connections by what became of them: passed (to a worker; nothing is left here), relayed, proxied (every connection, when it is accepted).", "kind"),
		acceptErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_router_accept_errors_total",
			Help: "Failed accepts; out of file descriptors, mostly.",
		}),
		tlsErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_router_tls_errors_total",
			Help: "TLS handshakes with clients and other routers that failed.",
		}),
		proxyErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_router_proxy_errors_total",
			Help: "Connections and requests of trusted proxies with a malformed PROXY header, or without one.",
		}),
		h2Errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_router_protocol_errors_total",
			Help: "HTTP/2 connections that broke the protocol's rules, or whose client left at a bad moment.",
		}),
		evicted: counter("sidereal_router_evicted_total",
			"Connections that gave way to others: newcomer (no whole request yet), idle (between two requests), body (its client sends nothing).", "kind"),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sidereal_router_repeats_total",
			Help: "Polls and posts that were sent to their worker again, since the connection to it broke.",
		}),
		decisions: make(map[string]prometheus.Counter),
		limited:   make(map[limit]prometheus.Counter),
	}
	limited := counter("sidereal_router_limited_total",
		"What was turned away, by the limit that it met: in_flight and rate (handshakes of a worker), address (of a client), connections, requests (of a worker, in flight), tls (handshakes), descriptors (of this process).", "limit")
	for _, l := range []limit{byInFlight, byRate, byAddress, byConnections, byRequests, byTLS, byDescriptors} {
		m.limited[l] = limited.WithLabelValues(l.String())
	}
	m.refused503 = m.refused.WithLabelValues("503")
	for _, d := range []string{"cache", "table", "tag", decisionBalanced, decisionUnknown, decisionApp, decisionDoor} {
		m.decisions[d] = m.requests.WithLabelValues(d)
	}
	m.proxied, m.relayed = m.connections.WithLabelValues("proxied"), m.connections.WithLabelValues("relayed")
	m.accepted = m.transferred.WithLabelValues("proxied")
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.upstream, m.refused, limited, m.connections, m.transferred, m.acceptErrors, m.tlsErrors, m.proxyErrors, m.h2Errors, m.evicted, m.repeats} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) decided(decision string) {
	if c := m.decisions[decision]; c != nil {
		c.Inc()
	}
}

func (m *metrics) upstreamError(kind string) { m.upstream.WithLabelValues(kind).Inc() }

// turnedAway counts an answer that a limit gave.
func (m *metrics) turnedAway(l limit) {
	m.limited[l].Inc()
	m.refused503.Inc()
}
