package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/notice"
	"github.com/sidereal-io/sidereal/internal/wheel"
)

// tick is the precision of heartbeats and timeouts, at least.
const tick = 10 * time.Millisecond

// precision is a thousandth of the shortest timeout: a client with a timeout of 200 ms asks after
// 200 ms, not after 220 ms.
func precision(c *Config) time.Duration {
	return min(max(min(c.PingInterval, c.PingTimeout, c.UpgradeTimeout)/1000, tick/100), tick)
}

// Server is an http.Handler that holds Engine.IO sessions. Its methods may be called concurrently,
// but Run only once.
type Server struct {
	cfg      Config
	metrics  *metrics
	traffic  *traffic
	wheel    *wheel.Wheel
	sessions *sessions
	tasks    sync.WaitGroup // readers, writers and Closed calls
	pool     pool
	drained  drained
	pollers  pollers
	running  atomic.Bool
	began    time.Time      // that moments count from
	limits   *notice.Notice // that clients exceeded

	gate     sync.RWMutex   // held for reading while a session or a connection is added
	refusing atomic.Bool    // no new sessions; changes under gate
	stopped  bool           // no new connections either; under gate
	starting sync.WaitGroup // handlers that have added a connection and not yet started it

	lingerMu  sync.Mutex
	lingering map[*webSocket]*linger // closed by us, waiting for the client's answer
	settled   chan struct{}          // closed once lingering is empty; nil while nobody waits
}

// New checks cfg and returns a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	t := new(traffic)
	m, err := newMetrics(cfg.Metrics, t)
	if err != nil {
		return nil, fmt.Errorf("engineio: register metrics: %w", err)
	}
	s := &Server{
		cfg: cfg, metrics: m, traffic: t, wheel: wheel.New(precision(&cfg)), sessions: newSessions(), began: time.Now(),
		lingering: make(map[*webSocket]*linger), limits: notice.New(),
	}
	s.pool.tasks = &s.tasks
	return s, nil
}

// Run keeps time for the sessions until ctx ends. Then it ends them with ShuttingDown and waits for
// every goroutine of the server. Without Run there are no heartbeats and no timeouts. Afterwards
// the server answers requests with 503.
func (s *Server) Run(ctx context.Context) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var parts sync.WaitGroup
	parts.Go(func() { _ = s.wheel.Run(hard) }) // always nil
	s.running.Store(true)
	<-ctx.Done()
	s.shutdown()
	s.stopPolling()
	stop()
	parts.Wait()
	s.tasks.Wait()
	return nil
}

// Len returns the number of live sessions.
func (s *Server) Len() int { return int(s.sessions.n.Load()) }

// Stats returns the server's counts. They change while it reads them.
func (s *Server) Stats() Stats {
	stats := Stats{
		Sessions: s.Len(), Polling: int(value(s.metrics.polling)), Closed: make(map[string]uint64),
		Opened: uint64(value(s.metrics.pollingHandshakes) + value(s.metrics.websocketHandshakes)),
	}
	for reason, c := range s.metrics.closes {
		stats.Closed[reason] = uint64(value(c))
	}
	stats.Received, stats.Sent = s.traffic.sums()
	return stats
}

// Sessions yields the live sessions. Sessions that begin or end meanwhile may be missing.
func (s *Server) Sessions() iter.Seq[*Session] { return s.sessions.all() }

// Path returns the prefix of the targets of this server's requests: see Config.Path.
func (s *Server) Path() string { return s.cfg.Path }

// Handles reports whether r is for this server: whether its raw target begins with Config.Path,
// undecoded and uncleaned.
func (s *Server) Handles(r *http.Request) bool {
	target := r.RequestURI
	if target == "" {
		target = r.URL.EscapedPath()
	}
	return strings.HasPrefix(target, s.cfg.Path)
}

// ServeHTTP answers handshakes, polls, posts and upgrades, and other requests with 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.Handles(r) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if s.cfg.CORS != nil && s.cfg.CORS.Apply(w, r) {
		return
	}
	q := parseQuery(r)
	upgrade := isUpgrade(r)
	if s.refusing.Load() && q.sid == "" && r.Method == http.MethodGet && s.cfg.enabled(q.transport) {
		s.answerBusy(w)
		return
	}
	session, refused := s.verify(r, &q, upgrade)
	switch {
	case refused != nil && refused.Code == CodeUnknownSID && s.isLate(r, q.sid):
		s.answerOK(w, r)
	case refused != nil:
		s.refuse(w, r, refused, upgrade)
	case upgrade:
		s.serveWebSocket(w, r, session, &q)
	case session == nil:
		s.serveHandshake(w, r, &q)
	default:
		session.servePolling(w, r, &q)
	}
}

// verify returns the session of a request, nil for a handshake, or the error that refuses it. The
// order of the checks is that of Node's server.
func (s *Server) verify(r *http.Request, q *query, upgrade bool) (*Session, *ConnectionError) {
	if !s.cfg.enabled(q.transport) {
		context := map[string]any{"transport": q.transport}
		if q.transport == "" {
			delete(context, "transport")
		}
		return nil, refusal(CodeUnknownTransport, context)
	}
	if origin := r.Header.Get("Origin"); strings.ContainsFunc(origin, invalidHeaderRune) {
		return nil, refusal(CodeBadRequest, map[string]any{"name": "INVALID_ORIGIN", "origin": origin})
	}
	if q.sid != "" {
		session := s.sessions.get(q.sid)
		if session == nil || session.lapsed() {
			return nil, refusal(CodeUnknownSID, map[string]any{"sid": q.sid})
		}
		if current := session.Transport(); !upgrade && current != q.transport {
			return nil, refusal(CodeBadRequest, map[string]any{
				"name": "TRANSPORT_MISMATCH", "transport": q.transport, "previousTransport": current,
			})
		}
		if q.protocol() != protocol {
			return nil, refusal(CodeBadRequest, map[string]any{
				"name": "PROTOCOL_MISMATCH", "protocol": q.protocol(), "previousProtocol": protocol,
			})
		}
		return session, nil
	}
	if r.Method != http.MethodGet {
		return nil, refusal(CodeBadHandshakeMethod, map[string]any{"method": r.Method})
	}
	if q.transport == WebSocket && !upgrade {
		return nil, refusal(CodeBadRequest, map[string]any{"name": "TRANSPORT_HANDSHAKE_ERROR"})
	}
	if s.cfg.AllowRequest != nil {
		if err := s.cfg.AllowRequest(r); err != nil {
			context := map[string]any{"message": nil}
			if !errors.Is(err, ErrForbidden) {
				context["message"] = err.Error()
			}
			return nil, refusal(CodeForbidden, context)
		}
	}
	if q.protocol() != protocol {
		return nil, refusal(CodeUnsupportedProtocol, map[string]any{"protocol": q.protocol()})
	}
	return nil, nil
}

func invalidHeaderRune(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// refuse answers a request that is refused: with JSON or, if it is for an upgrade, with plain text
// on a connection that ends, as Node's server does.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, e *ConnectionError, upgrade bool) {
	s.metrics.errors[e.Code].Inc()
	e.Request = r
	s.debug(r.Context(), "request refused", slog.Int("code", e.Code), slog.String("message", e.told()), slog.Any("context", e.Context))
	if s.cfg.OnError != nil {
		s.cfg.OnError(*e)
	}
	if upgrade {
		abortUpgrade(w, http.StatusBadRequest, e.told())
		return
	}
	status := http.StatusBadRequest
	if e.Code == CodeForbidden {
		status = http.StatusForbidden
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(appendErrorBody(nil, e.Code, e.told()))
}

func appendErrorBody(dst []byte, code int, message string) []byte {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(message) // a string into a strings.Builder
	dst = fmt.Appendf(dst, `{"code":%d,"message":`, code)
	return append(append(dst, strings.TrimSuffix(text.String(), "\n")...), '}')
}

func (s *Server) hookHeaders(h http.Header, r *http.Request) {
	if s.cfg.Headers != nil {
		s.cfg.Headers(h, r)
	}
}

// admit calls add, which adds a session or a connection, unless the server takes none any more.
func (s *Server) admit(session bool, add func()) bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.stopped || session && s.refusing.Load() {
		return false
	}
	add()
	return true
}

// ended removes a session that has just ended. Its mu is held.
func (s *Server) ended(session *Session, reason string, err error) {
	s.sessions.remove(session)
	s.metrics.sessions(session.transportLocked()).Dec()
	s.metrics.closes[reason].Inc()
	switch limit := limitOf(err); limit {
	case limitQueue:
		s.exceeded("session closed", limit, s.cfg.MaxQueueBytes, session)
	case limitMessage:
		s.exceeded("session closed", limit, s.cfg.MaxHTTPBufferSize, session)
	}
	var cause slog.Attr // handlers skip it while it is empty
	if err != nil {
		cause = slog.Any("error", err)
	}
	s.debug(session.req.ctx, "session ended", slog.String("sid", session.id), slog.String("reason", reason), cause)
}

// Limits by which clients lose their session, or a post is refused.
const (
	limitQueue   = "MaxQueueBytes"
	limitMessage = "MaxHTTPBufferSize"
)

// limitOf returns the limit by which an error ended a session; empty: it's another error.
func limitOf(err error) string {
	switch {
	case errors.Is(err, ErrSlowClient):
		return limitQueue
	case errors.Is(err, errTooBig):
		return limitMessage
	}
	return ""
}

// exceeded counts and logs that a client exceeded a limit, which is a field of Config.
func (s *Server) exceeded(outcome, limit string, most any, session *Session) {
	s.metrics.limits.WithLabelValues(limit).Inc()
	s.limits.Warn(s.cfg.Log, outcome+": the client exceeded a limit", "limit", limit, "most", most, "sid", session.id, "address", session.RemoteAddr())
}

// debug logs what clients can cause often. It allocates nothing while the level is off.
func (s *Server) debug(ctx context.Context, message string, fields ...slog.Attr) {
	s.cfg.Log.LogAttrs(ctx, slog.LevelDebug, message, fields...)
}
