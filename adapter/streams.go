package adapter

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// StreamsConfig configures an adapter over streams. The zero value of a field means its default, which is Node's; the
// names are those of Node's options.
type StreamsConfig struct {
	// Config is what all forms have in common. Key is Node's option channelPrefix. SpecificResponses means nothing here:
	// answers always go to the server that asked.
	Config
	// StreamName is the stream, or what the names of several begin with. Default Key: with Node's servers, whose default is
	// "socket.io", set both options there to what Key is here.
	StreamName string
	// StreamCount is over how many streams the namespaces are spread; all servers must have the same. Default 1. With more
	// than one, Node's servers neither hear nor find what is in a namespace whose hash is negative and odd; ours do.
	StreamCount int
	// MaxLen is about how many entries a stream keeps. A server that falls behind by more loses messages, and a client that
	// was away for more is not recovered. Default 10,000.
	MaxLen int
	// ReadCount is how many entries are read at once. Default 100.
	ReadCount int
	// BlockTimeInMs is how long Redis may hold a read when there is nothing new. Default 5,000.
	BlockTimeInMs int
	// SessionKeyPrefix begins the keys of the sessions that are kept for recovery. Default "sio:session:".
	SessionKeyPrefix string
	// UseShardedPubSub has requests and answers, which don't go through streams, use sharded pub/sub, of Redis 7 or later.
	UseShardedPubSub bool
	// OnlyPlaintext spares the search for binary in Node; here it makes binary what JSON.stringify makes of a Buffer, so that
	// all servers get the same.
	OnlyPlaintext bool
}

func (c StreamsConfig) withDefaults() StreamsConfig {
	setDefault(&c.Key, DefaultKey)
	setDefault(&c.StreamName, c.Key)
	setDefault(&c.StreamCount, 1)
	setDefault(&c.MaxLen, 10_000)
	setDefault(&c.ReadCount, 100)
	setDefault(&c.BlockTimeInMs, 5_000)
	setDefault(&c.SessionKeyPrefix, "sio:session:")
	return c
}

// Validate reports every setting that cannot work.
func (c StreamsConfig) Validate() error {
	err := c.Config.Validate()
	if min(c.StreamCount, c.MaxLen, c.ReadCount, c.BlockTimeInMs) < 0 {
		err = errors.Join(err, errors.New("adapter: StreamCount, MaxLen, ReadCount and BlockTimeInMs must not be negative"))
	}
	return err
}

// NewStreams makes a Redis that speaks as @socket.io/redis-streams-adapter's createAdapter does. It checks cfg; nothing is
// dialled before Run. What it gives a server supports connection state recovery across processes.
func NewStreams(cfg StreamsConfig) (*Redis, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return newRedis(cfg.Config, func(r *Redis) form { return newStreams(r, cfg) })
}

// streams is the form of @socket.io/redis-streams-adapter: what all servers do goes through a stream, which each reads
// from its own place; questions and answers go through pub/sub.
type streams struct {
	clusterReceiver
	cfg    StreamsConfig
	reader *streamReader
	keeper *keeper
}

var _ form = (*streams)(nil)

func newStreams(r *Redis, cfg StreamsConfig) *streams {
	f := &streams{clusterReceiver: clusterReceiver{r: r}, cfg: cfg}
	f.reader = newStreamReader(r, f)
	f.keeper = newKeeper(f)
	return f
}

func (f *streams) talk(n *namespace) (string, talk) {
	uid := newHexID()
	t := &streamTalk{name: n.name, uid: uid, form: f, channels: wire.NewChannels(f.r.cfg.Key, n.name)}
	t.stream = f.cfg.streams().Of(n.name)
	return uid, t
}

func (c *StreamsConfig) streams() wire.Streams {
	return wire.Streams{Name: c.StreamName, Count: c.StreamCount}
}

func (f *streams) join(n *namespace) {
	main := n.talk.counted()
	if f.cfg.UseShardedPubSub {
		f.r.sub.AddShards(main, n.own)
	} else {
		f.r.sub.Add(main, n.own)
	}
}

func (f *streams) leave(n *namespace) {
	main := n.talk.counted()
	if f.cfg.UseShardedPubSub {
		f.r.sub.RemoveShards(main, n.own)
	} else {
		f.r.sub.Remove(main, n.own)
	}
}

// broadcastType is the type of an entry that is a broadcast.
var broadcastType = strconv.Itoa(int(wire.ClusterBroadcast))

// receive takes, beside what servers ask and answer, the news that a session was taken over.
func (f *streams) receive(channel string, payload []byte) (kept bool, err error) {
	if c, err := wire.ParseCluster(payload); err == nil && c.Type == wire.ClusterTaken {
		f.r.mu.RLock()
		n := f.r.byName[string(c.Namespace)]
		f.r.mu.RUnlock()
		if n == nil || channel != n.own {
			return false, wire.ErrMalformed
		}
		if rec := n.talk.(*streamTalk).recovery.Load(); rec != nil {
			rec.taken(c.PID())
		}
		return true, nil
	}
	return f.clusterReceiver.receive(channel, payload)
}

// entry is what an entry of a stream says beside its data.
type entry struct{ uid, namespace, kind string }

func (f *streams) place(m message) string {
	if m.entry != nil || f.cfg.UseShardedPubSub {
		return m.channel
	}
	return ""
}

func (f *streams) publish(ctx context.Context, pipe redis.Pipeliner, m message) {
	switch {
	case m.entry != nil:
		pipe.Do(ctx, "XADD", m.channel, "MAXLEN", "~", f.cfg.MaxLen, "*",
			wire.FieldUID, m.entry.uid, wire.FieldNamespace, m.entry.namespace, wire.FieldType, m.entry.kind, wire.FieldData, m.payload)
	case f.cfg.UseShardedPubSub:
		pipe.SPublish(ctx, m.channel, m.payload)
	default:
		pipe.Publish(ctx, m.channel, m.payload)
	}
}

func (f *streams) numSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	if f.cfg.UseShardedPubSub {
		return numShardSub(ctx, node, channels, f.r.peers.channel)
	}
	return node.PubSubNumSub(ctx, channels...).Result()
}

func (f *streams) interrupted()                   { f.reader.interrupt() }
func (f *streams) wait(ctx context.Context) error { return f.reader.wait(ctx) }
func (f *streams) farewell(ctx context.Context)   { f.keeper.drain(ctx) }

func (f *streams) adapter(n *namespace) cluster.Adapter { return streamNamespace{n} }

func (f *streams) run(ctx context.Context) error {
	var keeping sync.WaitGroup
	keeping.Go(func() { _ = f.keeper.run(ctx) })
	defer keeping.Wait()
	f.reader.run(ctx)
	return nil
}

// block is how long Redis may hold a read.
func (c *StreamsConfig) block() time.Duration {
	return time.Duration(c.BlockTimeInMs) * time.Millisecond
}

// take carries out what an entry says. It runs on the reader's goroutine; at is the entry's place.
func (f *streams) take(e *wire.Entry, at offset) error {
	r := f.r
	if len(e.Data) > r.cfg.MaxMessageBytes {
		return ErrTooLarge
	}
	r.mu.RLock()
	n := r.byName[e.Namespace]
	r.mu.RUnlock()
	if n == nil || e.Namespace == "" {
		r.metrics.skipped.Inc()
		return nil
	}
	rec := n.talk.(*streamTalk).recovery.Load()
	if e.UID == n.uid {
		r.metrics.skipped.Inc()
		if rec != nil && e.Type == broadcastType {
			rec.line.seen([]byte(e.Data), at)
		}
		return nil
	}
	if r.isEcho([]byte(e.UID)) {
		r.metrics.skipped.Inc()
		return nil
	}
	c, err := e.Parse()
	if err != nil {
		return err
	}
	switch {
	case c.Type < wire.ClusterBroadcast, c.Type > wire.ClusterAck, c.Type.IsAnswer():
		r.metrics.skipped.Inc() // answers don't go this way; heartbeats are those of older versions of Node's adapter
		return nil
	case c.Type == wire.ClusterBroadcast && !c.WantsAck():
		place := ""
		if rec != nil && c.Recoverable() {
			place = at.String()
		}
		_, err := f.deliver(n, &c, place) // what was read is not read into again
		return err
	}
	q, err := c.Request()
	if err == nil {
		n.take(q)
	}
	return err
}

// streamTalk is one namespace over streams.
type streamTalk struct {
	name, uid string
	stream    string
	form      *streams
	channels  wire.Channels
	recovery  atomic.Pointer[recovery] // nil: off
}

func (t *streamTalk) counted() string             { return t.channels.Main }
func (t *streamTalk) answersTo(uid string) string { return t.channels.Main + uid + "#" }

func (t *streamTalk) broadcast(b *cluster.Broadcast) (message, error) {
	q := wire.Request{Type: wire.BroadcastWithAck, Options: options(b.Target, b.Flags), Data: b.Data}
	return t.append(make([]byte, 0, sizeOf(b)), q)
}

// append makes q an entry of the stream.
func (t *streamTalk) append(dst []byte, q wire.Request) (message, error) {
	if t.form.cfg.OnlyPlaintext {
		q.Data = wire.Plain(q.Data)
	}
	kind, err := wire.EntryType(q)
	if err != nil {
		return message{}, err
	}
	data, err := wire.AppendEntryData(dst, q)
	return message{channel: t.stream, payload: data, entry: &entry{t.uid, t.name, kind}}, err
}

// request has orders wait their turn in the stream; what is to be answered goes past it.
func (t *streamTalk) request(q wire.Request) (message, error) {
	switch q.Type {
	case wire.RemoteJoin, wire.RemoteLeave, wire.RemoteDisconnect:
		return t.append(nil, q)
	}
	msg, err := wire.AppendPackedRequest(nil, t.name, q)
	return message{channel: t.channels.Main, payload: msg}, err
}

func (t *streamTalk) answer(q wire.Request, a wire.Response, _ bool) (message, error) {
	msg, err := wire.AppendPackedResponse(nil, t.uid, t.name, a)
	return message{channel: t.answersTo(q.UID), payload: msg}, err
}

func (t *streamTalk) asksRooms() bool { return false }

func (t *streamTalk) fetchTimeout(asked *tally) string { return eventTimeout(asked) }
