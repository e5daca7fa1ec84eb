package emitter

import (
	"cmp"
	"context"
	"fmt"

	"github.com/sidereal-io/sidereal/adapter/internal/joined"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Mode says which rooms have a channel of their own over sharded pub/sub. It is Node's option
// subscriptionMode, and must be that of the servers.
type Mode string

// The modes, with Node's names. Package adapter says what they mean.
const (
	Static         Mode = "static"
	Dynamic        Mode = "dynamic"
	DynamicPrivate Mode = "dynamic-private"
)

// Sharded is the form of servers with @socket.io/redis-adapter's createShardedAdapter, or
// adapter.Sharded. It needs Redis 7 or later, one or a Redis Cluster. In a Redis Cluster there is
// no order between events for different rooms. Node has no emitter for it.
type Sharded struct {
	// Mode is the servers' Mode: Static, Dynamic or DynamicPrivate. Empty means Dynamic.
	Mode Mode
	// RoomChannel decides instead of Mode, if the servers have one: see adapter.Sharded.
	RoomChannel func(namespace, room string) bool
}

func (f Sharded) validate() error {
	if f.Mode != "" && !wire.Mode(f.Mode).Known() {
		return fmt.Errorf("emitter: Mode %q: must be static, dynamic or dynamic-private", string(f.Mode))
	}
	return nil
}

func (f Sharded) open(cfg Config) sender {
	f.Mode = cmp.Or(f.Mode, Dynamic)
	return newSharded(cfg, f, "/", cfg.Redis, new(joined.Rooms), newAudience(cfg, "redis-sharded", true, false))
}

// sharded is one namespace in the form of sharded pub/sub.
type sharded struct {
	cfg       Config // with defaults
	form      Sharded
	namespace string
	channels  wire.Channels
	redis     commands
	joined    *joined.Rooms // of all namespaces, by the channels that they would have
	audience  *audience
}

var _ sender = (*sharded)(nil)

func newSharded(cfg Config, form Sharded, namespace string, c commands, j *joined.Rooms, a *audience) *sharded {
	return &sharded{cfg, form, namespace, wire.NewChannels(cfg.Key, namespace), c, j, a}
}

func (s *sharded) of(namespace string) sender {
	return newSharded(s.cfg, s.form, namespace, s.redis, s.joined, s.audience)
}

func (s *sharded) via(c commands) sender {
	return newSharded(s.cfg, s.form, s.namespace, c, s.joined, nil)
}

// broadcast sends an event to clients.
func (s *sharded) broadcast(ctx context.Context, o wire.Options, event string, args []any) error {
	p, err := packet.EncodeEvent(event, args...)
	if err != nil {
		return err
	}
	channel := s.channels.Main
	if len(o.Rooms) == 1 && s.speaksTo(o.Rooms[0]) {
		if own := s.channels.Room(o.Rooms[0]); !s.joined.Has(own) {
			channel = own
		}
	}
	msg, err := wire.AppendClusterBroadcast(nil, senderUID, s.namespace, p, o)
	if err != nil {
		return err
	}
	return s.publish(ctx, channel, msg)
}

func (s *sharded) speaksTo(room string) bool {
	if s.form.RoomChannel != nil {
		return s.form.RoomChannel(s.namespace, room)
	}
	return wire.Mode(s.form.Mode).SpeaksTo(room)
}

// order sends what servers carry out.
func (s *sharded) order(ctx context.Context, q wire.Request) error {
	if q.Type == wire.RemoteJoin {
		s.joined.Note(s.roomChannels(q.JoinLeave))
	}
	q.UID = senderUID
	msg, err := wire.AppendClusterRequest(nil, s.namespace, q)
	if err != nil {
		return err
	}
	return s.publish(ctx, s.channels.Main, msg)
}

func (s *sharded) roomChannels(rooms []string) []string {
	channels := make([]string, len(rooms))
	for i, room := range rooms {
		channels[i] = s.channels.Room(room)
	}
	return channels
}

// publish looks for servers if Redis found no subscriber.
func (s *sharded) publish(ctx context.Context, channel string, msg []byte) error {
	heard, err := s.cfg.send(ctx, channel, msg, s.redis.SPublish)
	if err == nil && heard == 0 {
		s.audience.look(ctx)
	}
	return err
}
