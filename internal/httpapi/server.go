package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Config configures a Server. The zero value of a number means its default.
type Config struct {
	Keys    []apikey.Key
	App     string // part of the names of keys in Redis
	Redis   Redis
	Emitter *emitter.Emitter // on Redis's client
	Cluster cluster.Cluster  // an AskOnly member, which the caller runs

	// Timeout is how long a request may take besides the time that it asks for. Zero means 5 s.
	Timeout time.Duration
	// BodyTimeout is how long a client may take to send a body. Zero means 10 s.
	BodyTimeout time.Duration
	// MaxBodyBytes limits a body, and a line of a batch. Zero means 1 MB.
	MaxBodyBytes int
	// MaxBatchBytes limits the body of a batch. Zero means 16 MB.
	MaxBatchBytes int
	// Rate limits the actions of a key per second. Zero means no limit.
	Rate int
	// MaxConnections limits connections. Zero means 1,000.
	MaxConnections int

	Log     *slog.Logger
	Metrics prometheus.Registerer // nil registers nothing

	now func() time.Time // for tests
}

func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 10*time.Second)
	c.MaxBodyBytes = cmp.Or(c.MaxBodyBytes, 1_000_000)
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, 16_000_000)
	c.MaxConnections = cmp.Or(c.MaxConnections, 1000)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// The times and sizes of a connection.
const (
	headTimeout = 5 * time.Second
	idleTimeout = time.Minute
	maxHead     = 16 << 10
	readTimeout = 10 * time.Second // that a client may take to read an answer
	retryAway   = time.Second      // when a client may try Redis again
)

// Server serves the API.
type Server struct {
	cfg     Config
	callers []*caller
	sender  sender
	asker   asker
	metrics *metrics
	routes  map[string]route // by path
	http    *http.Server
}

// route is what a path offers.
type route struct {
	method    string
	operation string
	open      bool                                                  // to callers without a key
	serve     func(s *Server, c *call) (answer any, fault *problem) // nil: it has written the answer
}

// New makes a Server. It doesn't listen yet.
func New(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, sender: sender{redis: cfg.Redis, emitter: cfg.Emitter}, asker: asker{cluster: cfg.Cluster}, routes: routes(), callers: newCallers(cfg.Keys, cfg.Rate, cfg.now)}
	var err error
	if s.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("httpapi: register metrics: %w", err)
	}
	s.http = &http.Server{
		Handler: s, ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func routes() map[string]route {
	all := map[string]route{
		"/v1/batch": {method: http.MethodPost, operation: "batch", serve: (*Server).batch},
		openAPIPath: {method: http.MethodGet, operation: "openapi", open: true},
	}
	for operation := range parsers {
		all["/v1/"+operation] = route{method: http.MethodPost, operation: operation, serve: (*Server).act}
	}
	for operation := range reads {
		all["/v1/"+operation] = route{method: http.MethodGet, operation: operation, serve: (*Server).read}
	}
	return all
}

// Run serves a listener until ctx ends, and then finishes the requests that are under way. It
// closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout+time.Second)
		defer cancel()
		if s.http.Shutdown(last) != nil {
			s.http.Close()
		}
	})()
	if err := s.http.Serve(limited(l, s.cfg.MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

// call is one request on its way.
type call struct {
	w      http.ResponseWriter
	r      *http.Request
	id     string
	caller *caller // nil if the request shows no key
	route  route
	begun  time.Time
	failed *problem // of the first line of a batch that failed by a fault of this side
}

var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r, id: r.Header.Get("X-Request-Id"), begun: time.Now()}
	if !requestID.MatchString(c.id) {
		c.id = rand.Text()[:16]
	}
	h := w.Header()
	h.Set("X-Request-Id", c.id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if c.caller = s.callerOf(r); c.caller == nil {
		h.Set("Connection", "close") // or strangers that keep theirs would take all places
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(c.begun.Add(s.cfg.BodyTimeout)) // without it the connection's own bounds hold
	_ = control.SetWriteDeadline(c.begun.Add(s.cfg.BodyTimeout + s.cfg.Timeout + maxWait + readTimeout))
	var answer any
	fault := s.admit(c)
	if fault == nil && c.route.open {
		describe(w)
		return
	}
	if fault != nil {
		s.metrics.refuse(fault.Status)
	} else {
		answer, fault = c.route.serve(s, c)
		s.metrics.took(c.route.operation, c.begun)
		if c.route.operation != "batch" {
			s.metrics.count(c.route.operation, c.caller, status(answer, fault))
		}
	}
	switch {
	case fault == nil && answer != nil:
		write(w, answer)
	case fault != nil:
		fault.Request = c.id
		if c.r.ContentLength != 0 {
			h.Set("Connection", "close") // the rest of the body isn't read
		}
		fault.write(w)
	}
	s.log(c, cmp.Or(fault, c.failed))
}

// callerOf returns whose key a request has; nil without one.
func (s *Server) callerOf(r *http.Request) *caller {
	if i, ok := apikey.Find(s.cfg.Keys, r.Header.Get("Authorization")); ok {
		return s.callers[i]
	}
	return nil
}

// admit finds out what a caller asks for, and whether it may.
func (s *Server) admit(c *call) *problem {
	if admin.ForeignHost(c.r) {
		return newProblem("foreign-host", "use localhost, an IP address or the host's own name")
	}
	var known bool
	c.route, known = s.routes[c.r.URL.Path]
	if c.caller == nil && !c.route.open {
		return newProblem("unauthorized", "send Authorization: Bearer KEY with a key of SIDEREAL_API_KEYS")
	}
	if !known {
		return newProblem("not-found", "docs/http-api.md lists the paths")
	}
	if c.r.Method != c.route.method {
		c.w.Header().Set("Allow", c.route.method)
		return newProblem("wrong-method", "use "+c.route.method)
	}
	if given := c.r.Header.Get("Content-Type"); c.r.Method == http.MethodPost && given != "" {
		switch media, _, err := mime.ParseMediaType(given); {
		case err == nil && (media == "application/json" || c.route.operation == "batch" && media == "application/x-ndjson"):
		default:
			return newProblem("media-type", "send Content-Type: application/json, or application/x-ndjson for a batch")
		}
	}
	return nil
}

// body reads a body of at most so many bytes.
func (s *Server) body(c *call, most int) io.Reader {
	return http.MaxBytesReader(c.w, c.r.Body, int64(most))
}

// bodyProblem says why a body couldn't be read.
func bodyProblem(err error) *problem {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return newProblem("too-large", fmt.Sprintf("the body may have %d bytes", large.Limit))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem("too-slow", "send the whole body at once")
	}
	return newProblem("malformed", "the body broke off")
}

// accepted is the answer to an action that was sent.
type accepted struct {
	Status int `json:"status"`
}

// status is the status of an answer.
func status(answer any, fault *problem) int {
	switch answer.(type) {
	case nil, accepted:
		if fault != nil {
			return fault.Status
		}
		return http.StatusAccepted
	}
	if fault != nil {
		return fault.Status
	}
	return http.StatusOK
}

func write(w http.ResponseWriter, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		newProblem("internal", "the answer can't be written as JSON").write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(answer, nil))
	_, _ = w.Write(append(text, '\n')) // an error means that the client left
}

// do carries one action out, and waits for its answers if it wants any.
func (s *Server) do(ctx context.Context, a *action) (any, *problem) {
	if a.ask == nil {
		return accepted{http.StatusAccepted}, s.sender.send(ctx, []*action{a})[0]
	}
	if fault := s.sender.unable(ctx); fault != nil {
		return nil, fault
	}
	ask := func() (any, *problem) {
		return s.asker.use(a.namespace, func(to cluster.Adapter) (any, *problem) { return a.ask(ctx, to) })
	}
	if a.once != nil {
		return s.askOnce(ctx, a, ask)
	}
	return ask()
}

// MaxAnswer bounds an answer, in bytes.
const MaxAnswer = 2 * maxResponseBytes

// Do carries out the action of a body for a caller in this process, who needs no key.
func (s *Server) Do(ctx context.Context, operation string, body []byte) (answer []byte, err error) {
	a, fault := parsers[operation](body, false)
	if fault != nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout+a.wait)
	defer cancel()
	found, fault := s.do(ctx, a)
	if fault != nil {
		return nil, fault
	}
	return json.Marshal(found)
}

// act serves a request with one action.
func (s *Server) act(c *call) (any, *problem) {
	body, err := io.ReadAll(s.body(c, s.cfg.MaxBodyBytes))
	if err != nil {
		return nil, bodyProblem(err)
	}
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{}) // or it would end c.r's context
	a, fault := parsers[c.route.operation](body, false)
	if fault == nil {
		fault = c.caller.may(a)
	}
	if fault == nil {
		fault = c.caller.take()
	}
	if fault == nil {
		a.once, fault = s.newOnce(c.caller, c.r.Header, a.operation, body, 0)
	}
	if fault != nil {
		return nil, fault
	}
	ctx := c.r.Context()
	if a.ask == nil {
		ctx = context.WithoutCancel(ctx) // a client that closes its side may still read what became of it
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout+a.wait)
	defer cancel()
	return s.do(ctx, a)
}

// batch serves a request with an action on each line.
func (s *Server) batch(c *call) (any, *problem) {
	b := newBatch(s, c.caller, c.r.Header, s.body(c, s.cfg.MaxBatchBytes))
	b.clock = bodyClock{http.NewResponseController(c.w), c.begun.Add(s.cfg.BodyTimeout)}
	b.run(c.r.Context())
	b.write(c.w)
	c.failed = b.failed
	return nil, nil
}

// log tells of requests that failed for a reason that an operator can change, and with debug of all.
func (s *Server) log(c *call, fault *problem) {
	fields := []any{"request", c.id, "operation", c.route.operation, "took_ms", time.Since(c.begun).Milliseconds()}
	if c.caller != nil {
		fields = append(fields, "key", c.caller.Name)
	}
	switch {
	case fault == nil:
		s.cfg.Log.Debug("api request", fields...)
	case fault.Status >= http.StatusInternalServerError:
		fields = append(fields, "status", fault.Status, "problem", fault.Type, "detail", fault.Detail)
		if fault.cause != nil {
			fields = append(fields, "error", fault.cause)
		}
		s.cfg.Log.Warn("api request failed", fields...)
	default:
		s.cfg.Log.Debug("api request refused", append(fields, "status", fault.Status, "problem", fault.Type, "detail", fault.Detail)...)
	}
}
