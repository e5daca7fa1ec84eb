package socketio

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Config configures a Server. The zero value of each field means the default of Node's server.
type Config struct {
	// Path is the prefix of all requests of clients. Zero means "/socket.io/". The server adds a
	// slash to its end unless NoTrailingSlash is set; then it also serves "/socket.iofoo".
	Path            string
	NoTrailingSlash bool
	// ClientBundle holds the files of the browser client, socket.io.js and its siblings, and their
	// package.json. The server serves them below Path. Nil means that it answers 404, except that a
	// worker under `sidereal up` or `start` serves the files of that program.
	ClientBundle fs.FS
	// CORS lets pages of other origins use the server. Nil adds no headers.
	CORS *engineio.CORS
	// Cookie carries the session id in polling handshakes, for load balancers. Nil sends no cookie.
	Cookie *engineio.Cookie
	// AllowRequest decides about each handshake. The server refuses the client with status 403 and
	// the text of the error. Nil allows all.
	AllowRequest func(*http.Request) error
	// NewSID makes the ids of sessions. They must be unique and must not need escaping in JSON or
	// in URLs. Nil means 20 random characters.
	NewSID func(*http.Request) (string, error)
	// InitialHeaders may change the headers of the response to a handshake, Headers those of every
	// response to a session. Refusals are not among them.
	InitialHeaders func(h http.Header, r *http.Request)
	Headers        func(h http.Header, r *http.Request)
	// DestroyUpgradeTimeout is how long an upgrade request for an unknown path may stay open before
	// the server closes it. Zero means 1 second; below zero the server answers such requests 404.
	DestroyUpgradeTimeout time.Duration

	// Transports lists the transports that a session may begin with. Nil means polling and
	// WebSocket.
	Transports []string
	// DisallowUpgrades keeps the server from offering WebSocket to a session on polling.
	DisallowUpgrades bool
	// UpgradeTimeout limits the time of an upgrade to WebSocket. Zero means 10 seconds.
	UpgradeTimeout time.Duration
	// PingInterval is the time from one heartbeat to the next. Zero means 25 seconds.
	PingInterval time.Duration
	// PingTimeout is how long a client may take to answer a heartbeat. Zero means 20 seconds. The
	// server notices a lost client after PingInterval + PingTimeout at the latest.
	PingTimeout time.Duration
	// HTTPCompressionThreshold is the size in bytes from which polling responses are compressed.
	// Zero means 1024; below zero they never are.
	HTTPCompressionThreshold int
	// PerMessageDeflate compresses WebSocket messages for clients that offer it. Nil never does.
	PerMessageDeflate *engineio.PerMessageDeflate
	// InitialPacket is an Engine.IO message that each session begins with. Nil sends none.
	InitialPacket *engineio.Message
	// Parser writes and reads packets in another form, which clients must use, too. Package msgpack
	// has one. Nil means the form of the protocol.
	Parser Parser

	// ConnectTimeout limits the time from the connection to the first namespace. Zero means 45
	// seconds.
	ConnectTimeout time.Duration
	// AckTimeout limits the wait of a broadcast for answers where neither Timeout nor the context
	// does. Zero means 10 seconds.
	AckTimeout time.Duration
	// CleanupEmptyChildNamespaces removes a namespace that OfFunc or OfRegexp made after its last
	// socket has left.
	CleanupEmptyChildNamespaces bool
	// Adapter links this server with others: a cluster of package adapter, or a cluster.Hub. Nil
	// leaves it alone.
	Adapter cluster.Cluster
	// Recovery restores clients that come back after a short break. Nil turns it off.
	Recovery *Recovery

	// MaxHTTPBufferSize limits the bytes of one polling request and of one WebSocket message. Zero
	// means 1,000,000.
	MaxHTTPBufferSize int64
	// MaxQueueBytes limits the bytes that wait for one client. The server closes the session of a
	// client that is slower. Each message counts 100 bytes more. The longest message doesn't count
	// while the client keeps up. Zero means 16 MiB.
	MaxQueueBytes int
	// MaxPollPackets limits the packets of one polling response. Zero doesn't. Clients of
	// python-engineio need 16.
	MaxPollPackets int
	// MaxAttachments limits the binary parts of one packet. Zero means 10.
	MaxAttachments int
	// MaxNamespaces limits the namespaces that one connection is in at a time. Zero means 100.
	MaxNamespaces int
	// MaxRooms limits the rooms that a socket is in, besides its own. The server closes the
	// connection of a socket that joins more. Zero means 10,000.
	MaxRooms int
	// MaxDataBytes limits the shared data of a socket, as it travels, with 64 bytes more for each
	// key. Key.Set returns an error beyond it, and a client whose stored data is larger isn't
	// recovered. Zero means 64 KiB.
	MaxDataBytes int
	// MaxPendingAcks limits the answers that one socket owes to EmitWithAck. Zero means 10,000.
	MaxPendingAcks int
	// MaxEventsPerSecond limits the events of one connection, after as many at once. The server
	// closes a connection that exceeds it. Zero doesn't.
	MaxEventsPerSecond int
	// MaxPendingBytes limits the bytes that one connection has sent and that handlers haven't taken
	// yet, in all namespaces together: waiting events, a packet that waits for attachments, and the
	// values that its sockets connected with. The server closes a connection that exceeds it. Zero
	// means 16 MiB.
	MaxPendingBytes int
	// MaxPartialBytes limits the bytes of packets that wait for attachments, on all connections
	// together. The server closes the connections that have waited longest. Zero means 64 MiB, or
	// MaxPendingBytes if that is more.
	MaxPartialBytes int
	// AttachmentTimeout limits the time from a packet to its last attachment. Zero means 60
	// seconds.
	AttachmentTimeout time.Duration

	// OnConnectionError is told of each request that the server refused.
	OnConnectionError func(engineio.ConnectionError)
	// Trace is told of packets and events. Nil traces nothing.
	Trace *Trace
	// Log gets the server's log. Nil means slog.Default().
	Log *slog.Logger
	// Metrics registers the sidereal_engine_* and sidereal_socketio_* metrics. Nil registers none.
	Metrics prometheus.Registerer
}

// engine returns the configuration of the Engine.IO server.
func (c *Config) engine(open func(*engineio.Session) engineio.Receiver) engineio.Config {
	return engineio.Config{
		Path: c.Path, NoTrailingSlash: c.NoTrailingSlash,
		PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, UpgradeTimeout: c.UpgradeTimeout,
		MaxHTTPBufferSize: c.MaxHTTPBufferSize, MaxQueueBytes: c.MaxQueueBytes, MaxPollPackets: c.MaxPollPackets,
		Transports: c.Transports, DisallowUpgrades: c.DisallowUpgrades,
		AllowRequest: c.AllowRequest, NewSID: c.NewSID, CORS: c.CORS, Cookie: c.Cookie,
		HTTPCompressionThreshold: c.HTTPCompressionThreshold, PerMessageDeflate: c.PerMessageDeflate,
		InitialPacket: c.InitialPacket, InitialHeaders: c.InitialHeaders, Headers: c.Headers,
		OnError: c.OnConnectionError, Open: open, Log: c.Log, Metrics: c.Metrics,
	}
}

func (c Config) withDefaults() (Config, error) {
	c.Log = or(c.Log, slog.Default())
	c.Path = or(c.Path, "/socket.io/")
	c.ConnectTimeout = or(c.ConnectTimeout, 45*time.Second)
	c.DestroyUpgradeTimeout = or(c.DestroyUpgradeTimeout, time.Second)
	c.AckTimeout = or(c.AckTimeout, 10*time.Second)
	c.MaxAttachments = or(c.MaxAttachments, 10)
	c.MaxNamespaces = or(c.MaxNamespaces, 100)
	c.MaxPendingBytes = or(c.MaxPendingBytes, 16<<20)
	c.MaxPartialBytes = or(c.MaxPartialBytes, max(64<<20, c.MaxPendingBytes))
	c.AttachmentTimeout = or(c.AttachmentTimeout, time.Minute)
	c.MaxRooms = or(c.MaxRooms, 10_000)
	c.MaxDataBytes = or(c.MaxDataBytes, 64<<10)
	c.MaxPendingAcks = or(c.MaxPendingAcks, 10_000)
	if c.Recovery != nil {
		r := *c.Recovery
		r.MaxDisconnection = or(r.MaxDisconnection, 2*time.Minute)
		r.MaxBytes = or(r.MaxBytes, 64<<20)
		c.Recovery = &r
	}
	var errs []error
	if c.ConnectTimeout < 0 || c.AckTimeout < 0 || c.AttachmentTimeout < 0 {
		errs = append(errs, errors.New("socketio: a timeout in Config is negative"))
	}
	if min(c.MaxAttachments, c.MaxNamespaces, c.MaxPendingBytes, c.MaxPartialBytes, c.MaxRooms, c.MaxDataBytes, c.MaxPendingAcks, c.MaxEventsPerSecond) < 0 {
		errs = append(errs, errors.New("socketio: a limit in Config is negative"))
	}
	return c, errors.Join(errs...)
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
