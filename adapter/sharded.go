package adapter

import (
	"fmt"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/sharded"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// Mode says which rooms have a channel of their own, so that a broadcast to one of them reaches
// only the servers with somebody in it. It is Node's option subscriptionMode. All servers must have
// the same: a server without channels for rooms doesn't hear what another publishes there.
type Mode string

// The modes, with Node's names.
const (
	// Static gives no room a channel: there are two subscriptions for each namespace.
	Static Mode = "static"
	// Dynamic gives a channel to every room except the rooms of single sockets. A room whose name
	// has 20 characters looks like one of those, so broadcasts to it go to all servers. This is the
	// default.
	Dynamic Mode = "dynamic"
	// DynamicPrivate gives a channel to every room, those of single sockets included.
	DynamicPrivate Mode = "dynamic-private"
)

// Sharded is the form of @socket.io/redis-adapter's createShardedAdapter, for Redis 7 or later: a
// broadcast to a room goes to the servers that have somebody in it. In a Redis Cluster the channels
// are spread over the nodes.
type Sharded struct {
	// Mode is Static, Dynamic or DynamicPrivate. Empty means Dynamic.
	Mode Mode
	// RoomChannel decides, instead of Mode, which rooms of a namespace have a channel of their own.
	// It must give the same answer on every server and at any time, may be called concurrently, and
	// must not block. Node's servers have no such setting, so it must be nil if they are in the
	// cluster.
	RoomChannel func(namespace, room string) bool
	// Linger is how long the channel of a room stays subscribed after the last socket has left, so
	// that a client that returns at once costs Redis nothing. Zero means 2 seconds. A negative
	// value ends the subscription at once.
	Linger time.Duration
}

func (s Sharded) validate() error {
	if s.Mode != "" && !wire.Mode(s.Mode).Known() {
		return fmt.Errorf("adapter: Mode %q: must be static, dynamic or dynamic-private", string(s.Mode))
	}
	return nil
}

func (s Sharded) open(common link.Config) (running, error) {
	return sharded.New(common, sharded.Config{Mode: wire.Mode(s.Mode), RoomChannel: s.RoomChannel, Linger: s.Linger})
}
