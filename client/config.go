package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Names of the transports, for Config.Transports.
const (
	Polling   = engine.Polling
	WebSocket = engine.WebSocket
)

// Config configures a Client. The zero value of a field is its default, which is the official client's unless the field says otherwise;
// the name that the official client gives to an option stands in brackets.
type Config struct {
	// URL is the server: http, https, ws or wss, host and port, and query parameters if need be. Its path must be
	// empty: the path of Socket.IO is Path, and a namespace is named by Client.Of. Required.
	URL string
	// Path is where the server serves Socket.IO. Zero: "/socket.io/". A slash is added at its end unless NoTrailingSlash is
	// set. [path, addTrailingSlash]
	Path            string
	NoTrailingSlash bool
	// Query are parameters of every request; servers show them in the handshake. [query]
	Query url.Values
	// Header is sent with every request. "Host" sets the Host header. [extraHeaders]
	Header http.Header
	// Auth is sent with every CONNECT, to every namespace: a value that encodes to a JSON object. [auth]
	Auth any
	// AuthFunc makes what is sent with a CONNECT, anew at each connection, instead of Auth. It may block; ctx ends with the
	// connection or with Close. An error counts as a refusal by the server. [auth as a function]
	AuthFunc func(ctx context.Context, namespace string) (any, error)

	// Transports are tried and used in this order: a session begins with the first. Zero: polling, WebSocket. [transports]
	Transports []string
	// TryAllTransports tries the others when a handshake by the first fails. [tryAllTransports]
	TryAllTransports bool
	// NoUpgrade stays with polling where the session began with it. [upgrade: false]
	NoUpgrade bool
	// RememberUpgrade begins with WebSocket at a reconnection after it has worked once. [rememberUpgrade]
	RememberUpgrade bool
	// UpgradeTimeout bounds the proof of a WebSocket; a longer one only wastes a socket on a network that swallows WebSockets. Zero: 10 s,
	// the server's default (the official client leaves it to the server).
	UpgradeTimeout time.Duration

	// Timeout bounds one attempt to connect, the Engine.IO handshake included. Zero: 20 s. [timeout]
	Timeout time.Duration
	// NoReconnection leaves the client disconnected when the connection is lost, or cannot be made. [reconnection: false]
	NoReconnection bool
	// ReconnectionAttempts bounds the attempts in a row that may fail before the client gives up. Zero: no
	// bound. [reconnectionAttempts]
	ReconnectionAttempts int
	// ReconnectionDelay is waited before the first attempt; the wait doubles with each. Zero: 1 s. [reconnectionDelay]
	ReconnectionDelay time.Duration
	// ReconnectionDelayMax bounds that wait. Zero: 5 s. [reconnectionDelayMax]
	ReconnectionDelayMax time.Duration
	// RandomizationFactor spreads the waits, so that the clients of a lost server don't come back at the same moment: 0.5 is ±50 %.
	// Zero: 0.5; below zero: no spread; at most 1. Unlike with the official client, waits at the maximum are
	// spread, too (below it). [randomizationFactor]
	RandomizationFactor float64

	// AckTimeout bounds the wait for an acknowledgement where the caller's context has no deadline. Zero: no bound, or 10 s
	// with Retries. [ackTimeout]
	AckTimeout time.Duration
	// Retries above 0 makes events without flags be delivered at least once, in order and one at a time: each asks for an
	// acknowledgement and is sent again, that often at most, when none comes in AckTimeout. [retries]
	Retries int

	// PerMessageDeflate offers compression on WebSockets, without windows kept from message to message. Zero: off (the official
	// client offers it in Node; servers don't accept it by default). Messages shorter than DeflateThreshold bytes (zero: 1024) are
	// sent plain. [perMessageDeflate]
	PerMessageDeflate bool
	DeflateThreshold  int

	// TLS is for https and wss: certificate authorities, client certificates. [ca, cert, key, rejectUnauthorized ...]
	TLS *tls.Config
	// Dial makes network connections for both transports, in place of a net.Dialer: for proxies, unix sockets, or tests without a network.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// HTTP sends the requests of polling. Its Jar's cookies go with WebSockets, too. It must have no Timeout of
	// its own below the server's pingInterval. Nil: one of the client's own, made from TLS and Dial, closed by Close. [agent, withCredentials]
	HTTP *http.Client

	// Parser is how packets are written on the wire; the server must have the same. Zero: as the protocol has it. Package
	// socketio/msgpack has one. [parser]
	Parser packet.Parser

	// MaxMessageBytes bounds one received message, its attachments included, and the body of one poll. Beyond it the connection is
	// closed. Zero: 64 MB.
	MaxMessageBytes int
	// MaxAttachments bounds the binary parts of one received event. Zero: 1000 (the official client: 10).
	MaxAttachments int
	// MaxQueueBytes bounds what waits to be sent, connected or not, and apart from that what was received and waits for handlers. Emit fails
	// with ErrQueueFull beyond it; a connection whose handlers fall so far behind is closed. Zero: 16 MB.
	MaxQueueBytes int

	// OnRetry is told before each wait for a reconnection: how many attempts have failed in a row, how long the wait is, and why the
	// connection was lost or not made. [reconnect_attempt, reconnect_error]
	OnRetry func(attempt int, wait time.Duration, err error)
	// OnTransport is told the transport of each new connection, and of its upgrade. [upgrade]
	OnTransport func(name string)
	// OnPing is told of each heartbeat of the server. [ping] The three hooks run on the connection's goroutine and must not block.
	OnPing func()

	// Log takes what has no caller to return it to: arguments that a handler could not decode (debug). The zero Logger is silent.
	Log zerolog.Logger
}

// Validate reports every wrong value.
func (c *Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy in which every zero is replaced by its meaning.
func (c *Config) withDefaults() (*settings, error) {
	s := &settings{Config: *c}
	var errs []error
	wrong := func(bad bool, rule string) {
		if bad {
			errs = append(errs, errors.New("client: "+rule))
		}
	}
	var err error
	if s.url, err = c.serverURL(); err != nil {
		errs = append(errs, err)
	}
	for _, t := range c.Transports {
		wrong(t != Polling && t != WebSocket, fmt.Sprintf("Transports: %q is neither %q nor %q", t, Polling, WebSocket))
	}
	if len(s.Transports) == 0 {
		s.Transports = []string{Polling, WebSocket}
	}
	wrong(c.Auth != nil && c.AuthFunc != nil, "Auth and AuthFunc exclude each other")
	wrong(c.RandomizationFactor > 1, "RandomizationFactor must be 1 at most")
	for name, d := range map[string]*time.Duration{
		"UpgradeTimeout": &s.UpgradeTimeout, "Timeout": &s.Timeout, "ReconnectionDelay": &s.ReconnectionDelay,
		"ReconnectionDelayMax": &s.ReconnectionDelayMax, "AckTimeout": &s.AckTimeout,
	} {
		wrong(*d < 0, name+" must not be negative")
	}
	for name, n := range map[string]*int{
		"ReconnectionAttempts": &s.ReconnectionAttempts, "Retries": &s.Retries, "DeflateThreshold": &s.DeflateThreshold,
		"MaxMessageBytes": &s.MaxMessageBytes, "MaxAttachments": &s.MaxAttachments, "MaxQueueBytes": &s.MaxQueueBytes,
	} {
		wrong(*n < 0, name+" must not be negative")
	}
	if c.Retries > 0 {
		setDefault(&s.AckTimeout, 10*time.Second)
	}
	setDefault(&s.UpgradeTimeout, 10*time.Second)
	setDefault(&s.Timeout, 20*time.Second)
	setDefault(&s.ReconnectionDelay, time.Second)
	setDefault(&s.ReconnectionDelayMax, 5*time.Second)
	setDefault(&s.RandomizationFactor, 0.5)
	setDefault(&s.DeflateThreshold, 1<<10)
	setDefault(&s.MaxMessageBytes, 64<<20)
	setDefault(&s.MaxAttachments, 1000)
	setDefault(&s.MaxQueueBytes, 16<<20)
	if s.Dial == nil {
		s.Dial = new(net.Dialer).DialContext
	}
	return s, errors.Join(errs...)
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// settings is a Config without zeros, and what follows from it.
type settings struct {
	Config
	url *url.URL // of requests: http or https, with path and query
}

// serverURL is where requests go.
func (c *Config) serverURL() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("client: URL: %w", err)
	}
	scheme, ok := map[string]string{"http": "http", "ws": "http", "https": "https", "wss": "https"}[u.Scheme]
	switch {
	case !ok || u.Host == "":
		return nil, fmt.Errorf("client: URL %q must be http, https, ws or wss, and name a host", c.URL)
	case strings.Trim(u.Path, "/") != "":
		return nil, fmt.Errorf("client: URL %q must have no path: the server's path is Path, a namespace is named by Of", c.URL)
	}
	path := c.Path
	setDefault(&path, "/socket.io/")
	path = "/" + strings.Trim(path, "/")
	if !c.NoTrailingSlash {
		path = strings.TrimSuffix(path, "/") + "/"
	}
	q := u.Query()
	for name, values := range c.Query {
		q[name] = slices.Clone(values)
	}
	return &url.URL{Scheme: scheme, User: u.User, Host: u.Host, Path: path, RawQuery: q.Encode()}, nil
}

// engine is what the sessions need of the settings.
func (s *settings) engine() engine.Config {
	return engine.Config{
		URL: s.url, Transports: s.Transports, TryAll: s.TryAllTransports,
		Upgrade: !s.NoUpgrade, UpgradeTimeout: s.UpgradeTimeout,
		Header: s.Header, TLS: s.TLS, Dial: s.Dial, HTTP: s.HTTP,
		MaxMessage: s.MaxMessageBytes, MaxQueue: s.MaxQueueBytes,
		Deflate: s.PerMessageDeflate, DeflateThreshold: s.DeflateThreshold,
		OnPing: s.OnPing,
	}
}
