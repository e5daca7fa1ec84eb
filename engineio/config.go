package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The transports, as they are named in requests.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Config configures a Server. The zero value of each field means the default of Node's engine.io.
// Only Open is required.
type Config struct {
	// Path is the prefix of the raw request target. Zero means "/engine.io". The server adds a
	// slash to its end unless NoTrailingSlash is set; then it also serves "/engine.iofoo".
	Path            string
	NoTrailingSlash bool

	// PingInterval is the time from the begin of the session, or from a pong, to the next ping.
	// Zero means 25 seconds.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a ping. Zero means 20 seconds. The
	// server notices a lost client after PingInterval + PingTimeout at the latest.
	PingTimeout time.Duration
	// UpgradeTimeout limits the time of an upgrade to WebSocket. Zero means 10 seconds.
	UpgradeTimeout time.Duration
	// MaxHTTPBufferSize limits the bytes of one POST body and of one WebSocket message. Zero
	// means 1,000,000.
	MaxHTTPBufferSize int64
	// MaxQueueBytes limits the bytes that wait for one client. A send that exceeds it ends the
	// session. Each message counts 100 bytes more. The longest message of a send doesn't count
	// while nothing is stuck. Zero means 16 MiB.
	MaxQueueBytes int
	// MaxPollPackets limits the packets of one poll response; the others follow with the next.
	// Zero doesn't. Clients of python-engineio need 16.
	MaxPollPackets int

	// Transports lists the transports that a session may begin with. Nil means Polling and
	// WebSocket.
	Transports []string
	// DisallowUpgrades keeps the server from offering an upgrade. It still accepts one that a
	// client begins.
	DisallowUpgrades bool

	// AllowRequest decides about each handshake, but not about later requests or upgrades. An
	// error refuses it with status 403, code 4 and the error's text. Nil allows all.
	AllowRequest func(*http.Request) error
	// NewSID makes the session ids. They must be unique and must not need escaping in JSON or
	// in URLs. An error refuses the handshake with code 3. Nil means 20 random characters.
	NewSID func(*http.Request) (string, error)

	// CORS lets pages of other origins use polling. Nil adds no headers.
	CORS *CORS
	// Cookie is sent with the response to a polling handshake. The server never reads it. Nil
	// sends none.
	Cookie *Cookie

	// HTTPCompressionThreshold is the size in bytes from which poll responses are compressed,
	// if the client accepts that. Zero means 1024; below zero they never are.
	HTTPCompressionThreshold int
	// PerMessageDeflate compresses WebSocket messages for clients that offer it: once for each
	// broadcast, and without memory for each connection. Nil never does.
	PerMessageDeflate *PerMessageDeflate

	// InitialPacket follows the open packet of each session. Nil sends none.
	InitialPacket *Message
	// InitialHeaders may change the headers of the response to a handshake, by either
	// transport.
	InitialHeaders func(h http.Header, r *http.Request)
	// Headers may change the headers of every response to a session, but not those of a
	// refusal.
	Headers func(h http.Header, r *http.Request)

	// OnError is told of every refused request.
	OnError func(ConnectionError)
	// Open is called for each new session, before anything is received, and returns its
	// Receiver. It must not block. Its messages follow the open packet.
	Open func(*Session) Receiver

	// Log gets a line for each refused request and each ended session, at debug level. Nil means
	// slog.Default().
	Log *slog.Logger
	// Metrics registers the sidereal_engine_* metrics. Nil registers none.
	Metrics prometheus.Registerer
}

// PerMessageDeflate configures the compression of WebSocket messages (RFC 7692).
type PerMessageDeflate struct {
	// Threshold is the size in bytes from which messages are compressed. Zero means 1024; below
	// zero all are.
	Threshold int
}

// Cookie describes a cookie with the sid, by which load balancers can stick to a server.
type Cookie struct {
	Name     string        // default "io"
	Path     string        // default "/"
	Domain   string        // default none
	MaxAge   time.Duration // default 0: for the browser's session
	Secure   bool
	SameSite http.SameSite // default Lax
	// Readable leaves out HttpOnly.
	Readable bool
}

// withDefaults fills in what is zero and reports what cannot be.
func (c Config) withDefaults() (Config, error) {
	c.Log = or(c.Log, slog.Default())
	c.Path = strings.TrimSuffix(or(c.Path, "/engine.io"), "/")
	if !c.NoTrailingSlash {
		c.Path += "/"
	}
	c.PingInterval = or(c.PingInterval, 25*time.Second)
	c.PingTimeout = or(c.PingTimeout, 20*time.Second)
	c.UpgradeTimeout = or(c.UpgradeTimeout, 10*time.Second)
	c.MaxHTTPBufferSize = or(c.MaxHTTPBufferSize, 1_000_000)
	c.MaxQueueBytes = or(c.MaxQueueBytes, 16<<20)
	c.HTTPCompressionThreshold = or(c.HTTPCompressionThreshold, 1024)
	if c.Transports == nil {
		c.Transports = []string{Polling, WebSocket}
	}
	if c.NewSID == nil {
		c.NewSID = randomSID
	}
	var errs []error
	if c.Open == nil {
		errs = append(errs, errors.New("engineio: Config.Open is not set"))
	}
	if !strings.HasPrefix(c.Path, "/") {
		errs = append(errs, fmt.Errorf("engineio: Config.Path %q does not begin with /", c.Path))
	}
	for name, d := range map[string]time.Duration{
		"PingInterval": c.PingInterval, "PingTimeout": c.PingTimeout, "UpgradeTimeout": c.UpgradeTimeout,
	} {
		if d < time.Millisecond {
			errs = append(errs, fmt.Errorf("engineio: Config.%s %v is below 1ms", name, d))
		}
	}
	if c.MaxHTTPBufferSize < 0 || c.MaxQueueBytes < 0 || c.MaxPollPackets < 0 {
		errs = append(errs, errors.New("engineio: a size in Config is negative"))
	}
	for _, t := range c.Transports {
		if t != Polling && t != WebSocket {
			errs = append(errs, fmt.Errorf("engineio: Config.Transports: %q is neither %q nor %q", t, Polling, WebSocket))
		}
	}
	return c, errors.Join(errs...)
}

func (c *Config) enabled(transport string) bool { return slices.Contains(c.Transports, transport) }

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
