package adapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/joined"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Mode says which rooms have a channel of their own, so that a broadcast to one of them reaches only the servers with
// somebody in it. Node's option subscriptionMode. All servers must have the same: what one publishes on a room's channel is
// not heard by one that has no such channels.
type Mode = wire.Mode

// The modes, with Node's names.
const (
	// Static has none: two subscriptions for each namespace, whatever its rooms.
	Static = wire.Static
	// Dynamic has one for every room but those by which a socket is known. A room whose name has 20 characters looks like one
	// of those to the senders, whose broadcasts to it go to all servers. The default.
	Dynamic = wire.Dynamic
	// DynamicPrivate has one for every room, those of single sockets included.
	DynamicPrivate = wire.DynamicPrivate
)

// ShardedConfig configures an adapter over sharded pub/sub. The zero value of a field means its default.
type ShardedConfig struct {
	// Config is what all forms have in common. Key is Node's option channelPrefix. SpecificResponses means nothing here:
	// answers always go to the server that asked.
	Config
	// Mode is one of Static, Dynamic and DynamicPrivate.
	Mode Mode
	// RoomChannel, when set, decides instead of Mode which rooms of a namespace have a channel of their own. It must answer
	// the same on every server and at any time, may be called concurrently, and must not block. Node's servers have no such
	// setting: with them in the cluster leave it out.
	RoomChannel func(namespace, room string) bool
	// Linger is how long the channel of a room stays subscribed after the last socket has left: a client that comes back at
	// once then costs Redis nothing. Default 2 s; negative ends a subscription at once.
	Linger time.Duration
}

// Validate reports every setting that cannot work.
func (c ShardedConfig) Validate() error {
	err := c.Config.Validate()
	if c.Mode != "" && !c.Mode.Known() {
		err = errors.Join(err, fmt.Errorf("adapter: Mode %q: must be static, dynamic or dynamic-private", string(c.Mode)))
	}
	return err
}

// NewSharded makes a Redis that speaks as createShardedAdapter does, for Redis 7 or later. It checks cfg; nothing is
// dialled before Run. In a Redis Cluster each channel is published and heard on the node that serves it, wherever that moves.
func NewSharded(cfg ShardedConfig) (*Redis, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	setDefault(&cfg.Mode, Dynamic)
	setDefault(&cfg.Linger, 2*time.Second)
	return newRedis(cfg.Config, func(r *Redis) form { return newSharded(r, cfg) })
}

// sharded is the form of sharded pub/sub, which @socket.io/redis-adapter's createShardedAdapter speaks.
type sharded struct {
	plain
	clusterReceiver
	cfg   ShardedConfig
	rooms *roomChannels
}

var _ form = (*sharded)(nil)

func newSharded(r *Redis, cfg ShardedConfig) *sharded {
	return &sharded{
		clusterReceiver: clusterReceiver{r: r}, cfg: cfg,
		rooms: newRoomChannels(func() roomSubscriber { return r.sub }, cfg.Linger),
	}
}

func (f *sharded) talk(n *namespace) (string, talk) {
	uid := newHexID()
	return uid, &shardedTalk{name: n.name, uid: uid, form: f, channels: wire.NewChannels(f.r.cfg.Key, n.name)}
}

func (f *sharded) join(n *namespace) {
	t := n.talk.(*shardedTalk)
	f.r.sub.AddShards(t.channels.Main, n.own)
	if w, ok := n.local.(cluster.RoomWatcher); ok && (f.cfg.Mode != Static || f.cfg.RoomChannel != nil) {
		w.WatchRooms(func(room, id string, occupied bool) { f.roomChanged(n, room, id, occupied) })
	}
}

func (f *sharded) leave(n *namespace) {
	t := n.talk.(*shardedTalk)
	f.r.sub.RemoveShards(t.channels.Main, n.own)
	f.rooms.forget(n)
}

// roomChanged follows a room of a namespace. It is told after the fact and perhaps out of order, so that what counts is
// whether there is somebody in the room now.
func (f *sharded) roomChanged(n *namespace, room, id string, occupied bool) {
	if occupied && !f.listensTo(n.name, room, room == id) {
		return
	}
	f.rooms.look(n, n.talk.(*shardedTalk).channels.Room(room), room, occupied)
}

// listensTo tells whether a room that somebody is in has a channel of its own; known says that it is the room by which a
// socket is known.
func (f *sharded) listensTo(namespace, room string, known bool) bool {
	if f.cfg.RoomChannel != nil {
		return f.cfg.RoomChannel(namespace, room)
	}
	return f.cfg.Mode == DynamicPrivate || f.cfg.Mode == Dynamic && !known
}

// speaksTo tells whether broadcasts to a room go to a channel of its own.
func (f *sharded) speaksTo(namespace, room string) bool {
	if f.cfg.RoomChannel != nil {
		return f.cfg.RoomChannel(namespace, room)
	}
	return f.cfg.Mode.SpeaksTo(room)
}

func (f *sharded) place(m message) string { return m.channel }

func (f *sharded) publish(ctx context.Context, pipe redis.Pipeliner, m message) {
	pipe.SPublish(ctx, m.channel, m.payload)
}

func (f *sharded) numSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	return numShardSub(ctx, node, channels, f.r.peers.channel)
}

func (f *sharded) run(ctx context.Context) error { return f.rooms.run(ctx) }

// shardedTalk is one namespace over sharded pub/sub.
type shardedTalk struct {
	name, uid string
	form      *sharded
	channels  wire.Channels
	joined    joined.Rooms
}

func (t *shardedTalk) counted() string             { return t.channels.Main }
func (t *shardedTalk) answersTo(uid string) string { return t.channels.Main + uid + "#" }

func (t *shardedTalk) broadcast(b *cluster.Broadcast) (message, error) {
	o := options(b.Target, b.Flags)
	channel := t.channels.Main
	if len(o.Rooms) == 1 && t.form.speaksTo(t.name, o.Rooms[0]) && !t.joined.Has(o.Rooms[0]) {
		channel = t.channels.Room(o.Rooms[0])
	}
	msg, err := wire.AppendClusterBroadcast(make([]byte, 0, sizeOf(b)), t.uid, t.name, b.Data, o)
	return message{channel: channel, payload: msg}, err
}

func (t *shardedTalk) request(q wire.Request) (message, error) {
	if q.Type == wire.RemoteJoin {
		t.joined.Note(q.JoinLeave)
	}
	msg, err := wire.AppendClusterRequest(nil, t.name, q)
	return message{channel: t.channels.Main, payload: msg}, err
}

func (t *shardedTalk) answer(q wire.Request, a wire.Response, _ bool) (message, error) {
	msg, err := wire.AppendClusterResponse(nil, t.uid, t.name, a)
	return message{channel: t.answersTo(q.UID), payload: msg}, err
}

func (t *shardedTalk) asksRooms() bool { return false }

func (t *shardedTalk) fetchTimeout(asked *tally) string { return eventTimeout(asked) }
