package router

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config says how a router serves.
type Config struct {
	// Directory answers who owns a sid and which workers live: a *directory.Directory or a
	// *directory.Upstreams, which must be running, or a *directory.Static.
	Directory Directory
	// RuntimeDir is the private folder with the handoff sockets of this host's workers, <worker
	// id>.sock. Empty: this router has no workers of its own, every worker is reached at its
	// address.
	RuntimeDir string
	// HostName is this host's name in worker records. Only workers of this host are looked for in
	// RuntimeDir.
	HostName string
	// AdvertiseAddr is host:port where other hosts reach this router. A worker with this address is
	// one of ours.
	AdvertiseAddr string
	// Path is where Socket.IO answers. Empty: /socket.io/. A slash at the end is added.
	Path string
	// Balance is how a new session finds its worker: least-connection (also empty), round-robin or
	// random.
	Balance string
	// BalanceSlack is by how many percent the workers of this host may have more sessions than the
	// app's workers on average before new ones go to other hosts, too. Zero: 25. Negative: all
	// workers are alike, wherever they are.
	BalanceSlack int
	// TrustedProxies are the load balancers before this host. Only their forwarding headers are
	// believed.
	TrustedProxies []netip.Prefix

	// ProxyProtocol has connections of TrustedProxies begin with a PROXY header, version 1 or 2,
	// and takes the client's address from it. Those without one are refused, but for other hosts'
	// routers. Nobody else's header is read.
	ProxyProtocol bool

	// Certificates make the door speak TLS to clients, and this router to the doors of other hosts.
	// Plain text is then served to other routers only. Nil: no TLS for clients. The router watches
	// the files while it serves.
	Certificates *Certificates

	// HTTP1Only leaves HTTP/2 out of what clients are offered over TLS.
	HTTP1Only bool
	// RedirectPort is the port of the addresses that a Redirecting listener sends to. Zero: 443.
	RedirectPort int

	// MaxHeadBytes bounds a request's head; larger ones get 431. Zero: 16 KB, as Node. At most
	// 64,000.
	MaxHeadBytes int
	// HeadTimeout is how long a client may take to send a head once it began. Zero: 10 s.
	HeadTimeout time.Duration
	// MaxBodyBytes bounds a request's body; larger ones get 413. Bodies are streamed, so that they
	// cost the router nothing, and Socket.IO servers have a limit of their own (1 MB). Zero: none.
	MaxBodyBytes int64
	// BodyTimeout is how long a client may send nothing in the middle of a body, and how long the
	// router waits for all of it beyond what it takes at MinBodyRate. Zero: 60 s.
	BodyTimeout time.Duration
	// MinBodyRate is how many bytes of a body buy a second more. Time in which the worker takes
	// nothing doesn't count, nor does the time since it began to answer. Zero: 500; negative: only
	// silence ends a body.
	MinBodyRate int
	// IdleTimeout is how long a client's connection may stay without a request. Longer than a load
	// balancer's, or it meets connections that just closed. Zero: 120 s.
	IdleTimeout time.Duration
	// UpstreamIdle is how long a connection to a worker is kept for the next request: shorter than
	// the worker keeps it. Zero: 20 s.
	UpstreamIdle time.Duration

	// HandshakesInFlight is how many handshakes a worker may have to answer at a time,
	// HandshakeRate how many it gets each second, by this router. The rest is answered with 503 and
	// Retry-After. A Go worker answers a handshake in 28 to 46 µs of CPU (two cores, full load and
	// nearly idle), and the connect that follows costs it about as much again: at 5,000 a second
	// half a core is left to those who are connected. Node takes some 250 µs: there 1,500 leave as
	// much. 500 in flight are 50 ms of work, or as many clients as an app that asks a database for
	// 100 ms lets in at that rate. Zero: 500 and 5,000.
	HandshakesInFlight, HandshakeRate int
	// HandshakesPerAddress is how many new sessions a client's address may begin each second at
	// this router. Zero: as many as it likes; many clients may share an address. Trusted proxies
	// are not limited.
	HandshakesPerAddress int
	// RequestsInFlight is how many requests a worker may have unanswered at a time, polls that wait
	// included, by this router. One more is answered with 503 and Retry-After. Zero: as many as
	// there are.
	RequestsInFlight int
	// TLSHandshakeRate is how many TLS handshakes of clients this router takes up in a second;
	// further ones are broken off before they cost a signature. Zero: all.
	TLSHandshakeRate int
	// AllowedOrigins are the pages that may open and use sessions: scheme://host[:port], *. before
	// the host for all below it, or null. Requests of sessions with another Origin get 403. Empty:
	// all.
	AllowedOrigins []string
	// MaxConnections bounds the connections that this router holds; one more is answered with 503.
	// A further request of an HTTP/2 connection counts as one. Zero: descriptors do.
	MaxConnections int
	// MaxSilent bounds the connections that have not sent a whole request yet. For one more the
	// oldest gives way, one that has sent nothing before one that has sent something. Zero: a
	// quarter of Descriptors.
	MaxSilent int
	// Descriptors is how many file descriptors the connections of clients and to workers may take.
	// Where none is left, a connection gives way that waits for its client. Zero: what this process
	// may open, less an eighth for the rest of it.
	Descriptors int
	// StallTimeout is how long a handshake waits for its answer before it is tried once at another
	// worker. Zero: 1 s; negative: it waits.
	StallTimeout time.Duration

	// DrainDelay is how long a stopping router still accepts, being unready, so that load balancers
	// notice. Zero: not at all.
	DrainDelay time.Duration
	// DrainRate is how many relayed WebSockets a stopping router closes each second. Zero: 100.
	DrainRate int
	// ShutdownTimeout is the longest that stopping takes after the drain delay; what is left then
	// is cut. Zero: 35 s.
	ShutdownTimeout time.Duration

	// AccessLog says which requests get a line: off (also empty), errors (answers from 400 on),
	// all, or 1/N for one of N. Sids are shortened, unless ",sids" stands behind.
	AccessLog string
	// DebugHeader adds Sidereal-Debug to answers: how the worker was found, which one it is, and
	// the time until the answer.
	DebugHeader bool

	// OnDecision is told of each request of a client when it is answered, or when its connection
	// was passed on. It may be called concurrently, and must not block. Nil: nobody is told.
	OnDecision func(Decision)

	// Log gets one line at start and stop, and when a worker is found gone. Nil
	// means slog.Default().
	Log *slog.Logger
	// Metrics registers the sidereal_router_* metrics; nil registers nothing.
	Metrics prometheus.Registerer
}

// withDefaults fills zero fields and reports what cannot work.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	var problems []error
	if cfg.Directory == nil {
		problems = append(problems, errors.New("router: Directory is missing"))
	}
	if cfg.Path == "" {
		cfg.Path = "/socket.io/"
	}
	if !strings.HasSuffix(cfg.Path, "/") {
		cfg.Path += "/"
	}
	if !strings.HasPrefix(cfg.Path, "/") {
		problems = append(problems, fmt.Errorf("router: Path %q: must begin with a slash", cfg.Path))
	}
	if _, err := parsePolicy(cfg.Balance); err != nil {
		problems = append(problems, fmt.Errorf("router: Balance: %w", err))
	}
	if _, err := parseAccessMode(cfg.AccessLog); err != nil {
		problems = append(problems, fmt.Errorf("router: AccessLog %q: %w", cfg.AccessLog, err))
	}
	if _, err := parseOrigins(cfg.AllowedOrigins); err != nil {
		problems = append(problems, fmt.Errorf("router: AllowedOrigins: %w", err))
	}
	if cfg.RuntimeDir != "" && !filepath.IsAbs(cfg.RuntimeDir) {
		problems = append(problems, fmt.Errorf("router: RuntimeDir %q: must be an absolute path", cfg.RuntimeDir))
	}
	setDefault(&cfg.MaxHeadBytes, 16<<10)
	if cfg.MaxHeadBytes < 256 || cfg.MaxHeadBytes > 64_000 {
		problems = append(problems, fmt.Errorf("router: MaxHeadBytes %d: must be 256 to 64000", cfg.MaxHeadBytes))
	}
	if cfg.BalanceSlack == 0 {
		cfg.BalanceSlack = defaultSlack
	}
	setDefault(&cfg.RedirectPort, 443)
	setDefault(&cfg.HeadTimeout, 10*time.Second)
	setDefault(&cfg.BodyTimeout, time.Minute)
	setDefault(&cfg.IdleTimeout, 2*time.Minute)
	if cfg.MinBodyRate == 0 {
		cfg.MinBodyRate = 500
	}
	if cfg.Descriptors <= 0 {
		cfg.Descriptors = descriptors()
	}
	setDefault(&cfg.MaxSilent, max(cfg.Descriptors/4, 1))
	setDefault(&cfg.UpstreamIdle, 20*time.Second)
	setDefault(&cfg.HandshakesInFlight, 500)
	setDefault(&cfg.HandshakeRate, 5000)
	if cfg.StallTimeout == 0 {
		cfg.StallTimeout = time.Second
	}
	setDefault(&cfg.DrainRate, 100)
	setDefault(&cfg.ShutdownTimeout, 35*time.Second)
	if cfg.ProxyProtocol && len(cfg.TrustedProxies) == 0 {
		problems = append(problems, errors.New("router: ProxyProtocol needs TrustedProxies"))
	}
	for i, p := range cfg.TrustedProxies {
		if !p.IsValid() {
			problems = append(problems, fmt.Errorf("router: TrustedProxies: entry %d isn't a network", i+1))
		}
	}
	return cfg, errors.Join(problems...)
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
