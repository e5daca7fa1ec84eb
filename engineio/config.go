package engineio

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// The transports, as they are named in requests.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Config says how a Server behaves. The zero value of each field is the default of the reference implementation,
// Node's engine.io; only Open is required.
type Config struct {
	// Path is what the raw request target must begin with. Default "/engine.io". One trailing slash is added, so that
	// "/engine.io?EIO=4" is not served, unless NoTrailingSlash is set: then "/engine.iofoo" is served as well.
	Path            string
	NoTrailingSlash bool

	// PingInterval is the time from the session's begin, or from a pong, to the next ping. Default 25 s.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a ping. Default 20 s. A client that vanished is noticed
	// after PingInterval + PingTimeout at worst.
	PingTimeout time.Duration
	// UpgradeTimeout is how long an upgrade to WebSocket may take before it is given up. Default 10 s.
	UpgradeTimeout time.Duration
	// MaxHTTPBufferSize bounds one POST body and one WebSocket message, in bytes. Default 1,000,000.
	MaxHTTPBufferSize int64
	// MaxQueueBytes bounds what waits for one client, about 100 bytes more for each message; a send
	// that would exceed it ends the session, also one of many messages at once. Behind nothing that
	// is stuck the longest message of a send doesn't count: a single one may be larger. Default 16
	// MiB.
	MaxQueueBytes int
	// MaxPollPackets bounds the packets in one poll response; the rest goes with the next. Default 0: no bound. Set it to
	// 16 for clients of python-engineio, which refuse more.
	MaxPollPackets int

	// Transports are those that a session may begin with. Default both: Polling, WebSocket.
	Transports []string
	// DisallowUpgrades keeps the server from offering an upgrade. One that a client begins anyway is honoured.
	DisallowUpgrades bool

	// AllowRequest, if set, decides on each handshake (not on later requests, nor on upgrades). Its error refuses with
	// status 403, code 4, and the error's text as message: with ErrForbidden that is "Forbidden".
	AllowRequest func(*http.Request) error
	// NewSID, if set, makes the session ids. They must be unique and need no escaping in JSON and URLs. Its error refuses
	// the handshake with code 3. Default: 20 characters, base64url, 120 random bits.
	NewSID func(*http.Request) (string, error)

	// CORS, if set, adds the headers that let pages of other origins use polling, and answers preflights.
	CORS *CORS
	// Cookie, if set, is sent with a polling handshake's response. The server never reads it.
	Cookie *Cookie

	// HTTPCompressionThreshold is the size in bytes from which poll responses are compressed with gzip or deflate if
	// the client accepts that. Default 1024; below 0: never.
	HTTPCompressionThreshold int
	// PerMessageDeflate, if set, compresses WebSocket messages for clients that offer it. It costs CPU time for each
	// message, once per broadcast; no memory is kept per connection (no context takeover either way).
	PerMessageDeflate *PerMessageDeflate

	// InitialPacket, if set, is sent right after the open packet of each session.
	InitialPacket *Message
	// InitialHeaders, if set, may change the headers of a handshake's response, WebSocket included.
	InitialHeaders func(h http.Header, r *http.Request)
	// Headers, if set, may change the headers of every response to a session, WebSocket handshakes included. Refusals
	// are none.
	Headers func(h http.Header, r *http.Request)

	// OnError, if set, is told of every refused request.
	OnError func(ConnectionError)
	// Open is called for each new session, before anything is received, and gives what receives. It must not block.
	// What it sends follows the open packet.
	Open func(*Session) Receiver

	// Log gets a line per refused request and ended session, at debug level.
	Log zerolog.Logger
	// Metrics, if set, is where the sidereal_engine_* metrics are registered.
	Metrics prometheus.Registerer
}

// PerMessageDeflate configures the compression of WebSocket messages (RFC 7692).
type PerMessageDeflate struct {
	// Threshold is the size in bytes from which messages are compressed. Default 1024; below 0: all.
	Threshold int
}

// Cookie describes the cookie that carries the sid, for load balancers that stick by it.
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
