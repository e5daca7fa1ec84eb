package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Names of the transports, for Config.Transports.
const (
	Polling   = engine.Polling
	WebSocket = engine.WebSocket
)

// Config configures a Client. The zero value of a field means the default of the official client,
// unless the field says otherwise. Its name for the option stands in brackets.
type Config struct {
	// URL is the server: a scheme (http, https, ws or wss), host and port, and query
	// parameters. It has no path: see Path and Client.Of. Required.
	URL string
	// Path is the path of Socket.IO on the server. Zero means "/socket.io/". The client adds a
	// slash to its end unless NoTrailingSlash is set. [path, addTrailingSlash]
	Path            string
	NoTrailingSlash bool
	// Query has parameters for every request. Servers show them in the handshake. [query]
	Query url.Values
	// Header has headers for every request. "Host" sets the Host header. [extraHeaders]
	Header http.Header
	// Auth is sent to every namespace when its socket connects. It must encode to a JSON
	// object. [auth]
	Auth any
	// AuthFunc replaces Auth with a value for each connection. It may block; ctx ends with the
	// connection or with Close. An error counts as a refusal by the server. [auth as a
	// function]
	AuthFunc func(ctx context.Context, namespace string) (any, error)

	// Transports lists the transports in the order of preference. Nil means polling, then
	// WebSocket. [transports]
	Transports []string
	// TryAllTransports tries the other transports if the first one fails. [tryAllTransports]
	TryAllTransports bool
	// NoUpgrade keeps a session on polling that began with it. [upgrade: false]
	NoUpgrade bool
	// RememberUpgrade reconnects by WebSocket if that worked before. [rememberUpgrade]
	RememberUpgrade bool
	// UpgradeTimeout limits the time of an upgrade to WebSocket. Zero means 10 seconds, the
	// server's default; the official client leaves it to the server.
	UpgradeTimeout time.Duration

	// Timeout limits one attempt to connect, the Engine.IO handshake included. Zero means 20
	// seconds. [timeout]
	Timeout time.Duration
	// NoReconnection leaves the client disconnected if the connection is lost or can't be made.
	// [reconnection: false]
	NoReconnection bool
	// ReconnectionAttempts limits the failed attempts in a row. Zero doesn't.
	// [reconnectionAttempts]
	ReconnectionAttempts int
	// ReconnectionDelay is the wait before the first attempt; it doubles with each. Zero means
	// 1 second. [reconnectionDelay]
	ReconnectionDelay time.Duration
	// ReconnectionDelayMax limits that wait. Zero means 5 seconds. [reconnectionDelayMax]
	ReconnectionDelayMax time.Duration
	// RandomizationFactor spreads the waits, so that the clients of a lost server don't come
	// back at the same moment. 0.5 means ±50 %. Zero means 0.5; below zero there is no spread;
	// 1 is the most. Waits at the maximum are spread below it, which the official client
	// doesn't do. [randomizationFactor]
	RandomizationFactor float64

	// AckTimeout limits the wait for an acknowledgement if the context has no deadline. Zero
	// doesn't limit it, but means 10 seconds with Retries. [ackTimeout]
	AckTimeout time.Duration
	// Retries, if above 0, delivers events without flags at least once, in order and one at a
	// time. Each asks for an acknowledgement and is sent again, up to that often, if none comes
	// within AckTimeout. [retries]
	Retries int

	// PerMessageDeflate offers compression on WebSockets, without context takeover. Messages
	// shorter than DeflateThreshold bytes (zero: 1024) aren't compressed. It is off by default;
	// the official client offers it in Node. [perMessageDeflate]
	PerMessageDeflate bool
	DeflateThreshold  int

	// TLS configures https and wss. [ca, cert, key, rejectUnauthorized, ...]
	TLS *tls.Config
	// Dial opens the network connections of both transports. Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// HTTP sends the requests of polling. The cookies of its Jar go with WebSockets, too. Its
	// Timeout, if any, must be above the server's pingInterval. Nil means a client made from
	// TLS and Dial. [agent, withCredentials]
	HTTP *http.Client

	// Parser writes and reads packets in another form, which the server must use, too. Package
	// socketio/msgpack has one. Nil means the form of the protocol. [parser]
	Parser packet.Parser

	// MaxMessageBytes limits one received message with its attachments, and the body of one
	// poll. The client closes the connection beyond it. Zero means 64 MB.
	MaxMessageBytes int
	// MaxAttachments limits the binary parts of one received event. Zero means 1000; the
	// official client has 10.
	MaxAttachments int
	// MaxQueueBytes limits the data that waits to be sent, and separately the data that waits
	// for handlers. Emit returns ErrQueueFull beyond it; a connection with slower handlers is
	// closed. Zero means 16 MB.
	MaxQueueBytes int

	// OnRetry is called before each wait for a reconnection, with the number of failed attempts
	// in a row, the wait, and the last error. [reconnect_attempt, reconnect_error]
	OnRetry func(attempt int, wait time.Duration, err error)
	// OnTransport is called with the transport of each new connection, and of its upgrade.
	// [upgrade]
	OnTransport func(name string)
	// OnPing is called for each heartbeat of the server. OnPing, OnTransport and OnRetry run on
	// the connection's goroutine and must not block. [ping]
	OnPing func()

	// Log gets errors that have no caller to return them to, at debug level, such as arguments
	// that don't fit a handler. Nil means slog.Default().
	Log *slog.Logger
}

// Validate returns all wrong values as one error.
func (c *Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns a copy in which every zero is replaced by its meaning.
func (c *Config) withDefaults() (*settings, error) {
	s := &settings{Config: *c}
	if s.Log == nil {
		s.Log = slog.Default()
	}
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

// settings is a Config with defaults in place of zeros, and values computed from it.
type settings struct {
	Config
	url *url.URL // of requests: http or https, with path and query
}

// serverURL returns the URL of requests.
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

// engine returns the sessions' part of the settings.
func (s *settings) engine() engine.Config {
	return engine.Config{
		URL: s.url, Transports: s.Transports, TryAll: s.TryAllTransports,
		Upgrade: !s.NoUpgrade, UpgradeTimeout: s.UpgradeTimeout,
		Header: s.Header, TLS: s.TLS, Dial: s.Dial, HTTP: s.HTTP,
		MaxMessage: s.MaxMessageBytes, MaxQueue: s.MaxQueueBytes,
		Deflate: s.PerMessageDeflate, DeflateThreshold: s.DeflateThreshold,
		OnPing:  s.OnPing,
		Refused: func(r engine.Refusal) error { return &RefusedError{Status: r.Status, Code: r.Code, Message: r.Message} },
	}
}
