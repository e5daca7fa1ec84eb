package engine

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Names of the transports.
const (
	Polling   = "polling"
	WebSocket = "websocket"
)

// Config says how sessions are opened. It is shared by all of a client's sessions and not changed.
type Config struct {
	// URL is where the server listens: scheme http or https, its path, and the query parameters to
	// add.
	URL *url.URL
	// Transports are those that may be used. The session begins with the first.
	Transports []string
	// TryAll makes Open try the other transports, too, when the first fails.
	TryAll bool
	// Upgrade makes a session that begins with polling move to a WebSocket if both sides have it.
	Upgrade bool
	// UpgradeTimeout bounds the probe.
	UpgradeTimeout time.Duration
	// Header is sent with every request, "Host" included.
	Header http.Header
	// TLS is for https; nil is Go's default.
	TLS *tls.Config
	// Dial opens the connections of WebSockets.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Refused returns the error for a server's refusal.
	Refused func(Refusal) error
	// HTTP sends the requests of polling; its cookies go with WebSockets, too.
	HTTP *http.Client
	// MaxMessage bounds a received message, and the body of a poll, in bytes.
	MaxMessage int
	// MaxQueue bounds what waits to be sent, in bytes.
	MaxQueue int
	// Deflate offers permessage-deflate; messages of DeflateThreshold bytes and more are sent
	// compressed.
	Deflate          bool
	DeflateThreshold int
	// OnTransport is told the name of the transport when the session begins and when it has been
	// upgraded. It is called on the goroutine of Open or Serve and must not block.
	OnTransport func(name string)
	// OnPing is told of every ping of the server, on the goroutine of Serve. It must not block.
	OnPing func()
}

// request is the URL of a request of the session sid, or of a handshake. Each polling request has a
// parameter t of its own, as from official clients: a server that gets a request twice, since a
// proxy repeated it, serves it once.
func (c *Config) request(transport, sid string) *url.URL {
	u := *c.URL
	q := u.Query()
	q.Set("EIO", "4")
	q.Set("transport", transport)
	if transport == Polling {
		q.Set("t", strconv.FormatUint(rand.Uint64(), 36))
	}
	if sid != "" {
		q.Set("sid", sid)
	}
	u.RawQuery = q.Encode()
	return &u
}
