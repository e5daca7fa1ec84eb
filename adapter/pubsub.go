package adapter

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// pubsub is the form of classic pub/sub, which @socket.io/redis-adapter's createAdapter and @socket.io/redis-emitter speak.
// Its maps are guarded by Redis.mu.
type pubsub struct {
	plain
	r        *Redis
	requests map[string]*namespace // by channel
	answers  map[string]*namespace // by channel
	patterns map[string]bool       // subscribed
	longest  int                   // bytes of the longest name ever opened
	spare    []byte                // scratch of receive
}

var _ form = (*pubsub)(nil)

func newPubsub(r *Redis) *pubsub {
	return &pubsub{
		r:        r,
		requests: make(map[string]*namespace),
		answers:  make(map[string]*namespace),
		patterns: make(map[string]bool),
		spare:    make([]byte, 0, 256),
	}
}

func (f *pubsub) talk(n *namespace) (string, talk) {
	uid := newUID()
	return uid, pubsubTalk{name: n.name, uid: uid, channels: wire.NewChannels(f.r.cfg.Key, n.name), specific: f.r.cfg.SpecificResponses, parser: f.r.cfg.Parser}
}

func (f *pubsub) join(n *namespace) {
	c := n.talk.(pubsubTalk).channels
	f.requests[c.Request] = n
	f.answers[c.Response] = n
	f.answers[n.own] = n
	f.longest = max(f.longest, len(n.name))
	f.r.sub.Add(c.Request, c.Response, n.own)
	f.listen()
}

func (f *pubsub) leave(n *namespace) {
	c := n.talk.(pubsubTalk).channels
	delete(f.requests, c.Request)
	delete(f.answers, c.Response)
	delete(f.answers, n.own)
	f.listen()
	f.r.sub.Remove(c.Request, c.Response, n.own)
}

// listen subscribes to the patterns of all namespaces but those that another's covers: the pattern of "/" matches the
// channels of a namespace "/#chat" as well, and with both each message would come twice.
func (f *pubsub) listen() {
	want := make(map[string]bool, len(f.r.byName))
	for _, n := range f.r.byName {
		if !f.covered(n) {
			want[n.talk.(pubsubTalk).channels.Pattern()] = true
		}
	}
	for p := range want {
		if !f.patterns[p] {
			f.r.sub.AddPatterns(p)
		}
	}
	for p := range f.patterns {
		if !want[p] {
			f.r.sub.RemovePatterns(p)
		}
	}
	f.patterns = want
}

func (f *pubsub) covered(n *namespace) bool {
	for i := range len(n.name) {
		if n.name[i] == '#' && f.r.byName[n.name[:i]] != nil {
			return true
		}
	}
	return false
}

func (f *pubsub) place(message) string { return "" }

func (f *pubsub) publish(ctx context.Context, pipe redis.Pipeliner, m message) {
	pipe.Publish(ctx, m.channel, m.payload)
}

func (f *pubsub) numSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	return node.PubSubNumSub(ctx, channels...).Result()
}

// pubsubTalk is one namespace over classic pub/sub.
type pubsubTalk struct {
	name, uid string
	channels  wire.Channels
	specific  bool // Config.SpecificResponses
	parser    Parser
}

func (t pubsubTalk) counted() string             { return t.channels.Request }
func (t pubsubTalk) answersTo(uid string) string { return t.channels.ResponseTo(uid) }

func (t pubsubTalk) broadcast(b *cluster.Broadcast) (message, error) {
	o := options(b.Target, b.Flags)
	channel := t.channels.Main
	if len(o.Rooms) == 1 {
		channel = t.channels.Room(o.Rooms[0])
	}
	msg, err := wire.AppendBroadcast(make([]byte, 0, sizeOf(b)), t.uid, t.name, b.Data, o)
	return t.message(channel, msg, err)
}

func (t pubsubTalk) request(q wire.Request) (message, error) {
	msg, err := wire.AppendRequest(nil, q)
	return t.message(t.channels.Request, msg, err)
}

// message is what was made for a channel, in the parser's form.
func (t pubsubTalk) message(channel string, msg []byte, err error) (message, error) {
	msg, err = wire.Parsed(t.parser, msg, err)
	return message{channel: channel, payload: msg}, err
}

// answer lets a peer of ours hear it alone, and tells it who answers; towards Node the bytes and the channel are Node's.
func (t pubsubTalk) answer(q wire.Request, a wire.Response, peer bool) (message, error) {
	channel := t.channels.Response
	switch {
	case q.UID == "":
	case peer:
		a.UID = t.uid
		channel = t.channels.ResponseTo(q.UID)
	case t.specific && a.Type != wire.ServerSideEmit:
		channel = t.channels.ResponseTo(q.UID)
	}
	msg, err := wire.AppendResponse(nil, a)
	return t.message(channel, msg, err)
}

func (t pubsubTalk) asksRooms() bool { return true }

func (t pubsubTalk) fetchTimeout(*tally) string {
	return "timeout reached while waiting for fetchSockets response"
}
