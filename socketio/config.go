package socketio

import (
	"errors"
	"io/fs"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Config says how a Server behaves. The zero value of each field is the default of Node's server. The Engine.IO
// options are embedded: Path (here "/socket.io/" by default), PingInterval, CORS, AllowRequest, NewSID, Log, Metrics,
// ... Open is the server's own and must not be set.
type Config struct {
	engineio.Config

	// ConnectTimeout is how long a connection may take to join its first namespace; then it is closed. Default 45 s.
	ConnectTimeout time.Duration
	// CleanupEmptyChildNamespaces removes a namespace that OfFunc or OfRegexp made when its last socket has left.
	CleanupEmptyChildNamespaces bool
	// DestroyUpgradeTimeout is when the connection of a request to upgrade is cut, unanswered, that is neither for Path nor
	// for what was given to Handle. Default 1 s; below 0: such requests are answered 404 like any other.
	DestroyUpgradeTimeout time.Duration
	// Adapter links this server with others. Default: it is alone.
	Adapter cluster.Cluster
	// Recovery lets clients that come back after a short break have their rooms, their data and what they missed: at this
	// server, or at any where the Adapter keeps sessions (see package adapter).
	// Default: off.
	Recovery *Recovery
	// ClientBundle has the client's files, socket.io.js and its siblings, and the package.json they came with. They are
	// served below Path. Default: none, and requests for them are answered 404 with a line that says so.
	ClientBundle fs.FS

	// AckTimeout is how long a broadcast waits for answers when neither Operator.Timeout nor its context says.
	// Default 10 s.
	AckTimeout time.Duration
	// MaxAttachments bounds the binary parts of one packet. Default 10.
	MaxAttachments int
	// MaxNamespaces bounds how many namespaces one connection may have joined at a time. Default 100.
	MaxNamespaces int
	// MaxPendingBytes bounds what one connection has sent and what is not yet handled, for all its
	// namespaces together: the events that wait while handlers block, a packet that waits for its
	// attachments, inflated, and what its sockets were given to connect with. A connection that
	// exceeds it is closed. Default 16 MiB.
	MaxPendingBytes int
	// MaxPartialBytes bounds what packets that wait for attachments take, inflated, for all
	// connections together. Beyond it the connections that have waited longest are closed, as if by
	// AttachmentTimeout. Default 64 MiB, at least MaxPendingBytes.
	MaxPartialBytes int
	// AttachmentTimeout is how long a client may take to send the binary parts of a packet after the packet itself; then
	// its connection is closed. Default 60 s.
	AttachmentTimeout time.Duration
	// MaxRooms bounds the rooms that one socket is in, besides its own. A socket that is to join more is disconnected with
	// its connection. Default 10,000.
	MaxRooms int
	// MaxPendingAcks bounds the answers that one socket owes to EmitWithAck. Default 10,000.
	MaxPendingAcks int
	// MaxEventsPerSecond bounds the events of one connection, after as many at once; a connection that exceeds it is
	// closed. Default 0: not bounded.
	MaxEventsPerSecond int

	// Parser is how packets are written on the wire, which clients must be told, too. Default: as the protocol has it.
	Parser Parser
	// Trace is told of packets and events. Default: nobody is.
	Trace *Trace
}

func (c Config) withDefaults() (Config, error) {
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
	c.MaxPendingAcks = or(c.MaxPendingAcks, 10_000)
	if c.Recovery != nil {
		r := *c.Recovery
		r.MaxDisconnection = or(r.MaxDisconnection, 2*time.Minute)
		r.MaxBytes = or(r.MaxBytes, 64<<20)
		c.Recovery = &r
	}
	var errs []error
	if c.Open != nil {
		errs = append(errs, errors.New("socketio: Config.Open is set"))
	}
	if c.ConnectTimeout < 0 || c.AckTimeout < 0 || c.AttachmentTimeout < 0 {
		errs = append(errs, errors.New("socketio: a timeout in Config is negative"))
	}
	if min(c.MaxAttachments, c.MaxNamespaces, c.MaxPendingBytes, c.MaxPartialBytes, c.MaxRooms, c.MaxPendingAcks, c.MaxEventsPerSecond) < 0 {
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
