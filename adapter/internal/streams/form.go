package streams

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// DefaultKeyPrefix begins the keys of snapshots, as in Node.
const DefaultKeyPrefix = "sio:session:"

// Config is what this form adds to a link's configuration. Package adapter documents the fields.
type Config struct {
	Streams          wire.Streams
	MaxLen           int
	MaxBytes         int
	ReadCount        int
	Block            time.Duration
	SessionKeyPrefix string
	ShardedPubSub    bool
	OnlyPlaintext    bool
}

func (c Config) withDefaults(key string) Config {
	c.Streams.Name = cmp.Or(c.Streams.Name, key)
	c.Streams.Count = cmp.Or(c.Streams.Count, 1)
	c.MaxLen = cmp.Or(c.MaxLen, 10_000)
	c.MaxBytes = cmp.Or(c.MaxBytes, 64<<20)
	c.ReadCount = cmp.Or(c.ReadCount, 100)
	c.Block = max(cmp.Or(c.Block, 5*time.Second), time.Millisecond) // zero would hold a read forever
	c.SessionKeyPrefix = cmp.Or(c.SessionKeyPrefix, DefaultKeyPrefix)
	return c
}

// Form is one process in this form.
type Form struct {
	*link.Link
	cfg        Config
	reader     *reader
	snapshots  *snapshots
	recoveries *prometheus.CounterVec
	tooLarge   tooLarge
	scratch    wire.Scratch  // of Receive
	patient    time.Duration // of broadcasts that wait for the stream

	mu     sync.RWMutex          // guards the rest
	byName map[string]*namespace // open
}

var _ link.Form = (*Form)(nil)

// New makes the form. It dials nothing.
func New(common link.Config, cfg Config) (*Form, error) {
	cfg = cfg.withDefaults(cmp.Or(common.Key, link.DefaultKey))
	f := &Form{cfg: cfg, patient: patience, byName: make(map[string]*namespace)}
	f.reader = newReader(f)
	f.snapshots = newSnapshots(f)
	var err error
	f.recoveries = link.Share(common.Metrics, &err, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sidereal_adapter_recoveries_total",
		Help: "Clients that came back with a session of before, by outcome: recovered, unknown, gone, taken, foreign, away, malformed.",
	}, []string{"outcome"}))
	f.tooLarge.count = link.Share(common.Metrics, &err, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sidereal_adapter_unrecoverable_total",
		Help: "Messages sent that are too large for the stream to keep for clients that come back.",
	}))
	if err != nil {
		return nil, err
	}
	hooks := link.Hooks{Run: f.run, Ready: f.reader.wait, Interrupted: f.reader.interrupt, Drain: f.snapshots.drain}
	if common.AskOnly { // questions and answers go past the streams
		hooks = link.Hooks{}
	}
	f.Link, err = link.New(common, f, hooks)
	return f, err
}

// Open makes the adapter of one namespace. It supports connection state recovery.
func (f *Form) Open(local cluster.Local) (cluster.Adapter, error) {
	n := f.newNamespace(local.Name())
	if err := f.Add(n.Namespace, local); err != nil {
		return nil, err
	}
	return n, nil
}

// Settled reports whether this process hears all the channels that it wants to hear, and Redis has
// all snapshots of its sockets.
func (f *Form) Settled() bool { return f.Link.Settled() && f.snapshots.idle() }

func (f *Form) find(name string) *namespace {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byName[name]
}

// recovering returns the recovery of each namespace that has it.
func (f *Form) recovering() (all []*recovery) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, n := range f.byName {
		if rec := n.recovery.Load(); rec != nil {
			all = append(all, rec)
		}
	}
	return all
}

func (f *Form) run(ctx context.Context) error {
	var storing sync.WaitGroup
	storing.Go(func() { f.snapshots.run(ctx) })
	defer storing.Wait()
	f.reader.run(ctx)
	return nil
}

// Receive implements link.Form: questions, answers, and the news that another server took a
// snapshot over.
func (f *Form) Receive(channel string, payload []byte) (kept bool, err error) {
	c, err := wire.ParseCluster(payload)
	if err != nil {
		return false, err
	}
	n := f.find(string(c.Namespace))
	switch {
	case c.Type == wire.ClusterTaken:
		return n.receiveTaken(channel, &c)
	case n == nil, f.IsEcho(c.UID): // n is nil if the namespace isn't here, or no longer
		f.Skip()
		return false, nil
	}
	return n.TakeCluster(channel, &c, &f.scratch)
}

// NodeKey implements link.Form.
func (f *Form) NodeKey(m link.Message) string {
	if m.Kind != 0 || f.cfg.ShardedPubSub {
		return m.Channel
	}
	return ""
}

// Publish implements link.Form.
func (f *Form) Publish(ctx context.Context, pipe redis.Pipeliner, m link.Message) {
	switch {
	case m.Kind != 0:
		pipe.Do(ctx, "XADD", m.Channel, "MAXLEN", "~", f.cfg.MaxLen, "*",
			wire.FieldUID, m.From.UID, wire.FieldNamespace, m.From.Name, wire.FieldType, strconv.Itoa(int(m.Kind)), wire.FieldData, m.Payload)
	case f.cfg.ShardedPubSub:
		pipe.SPublish(ctx, m.Channel, m.Payload)
	default:
		pipe.Publish(ctx, m.Channel, m.Payload)
	}
}

// NumSub implements link.Form.
func (f *Form) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	if f.cfg.ShardedPubSub {
		return f.NumShardSub(ctx, node, channels)
	}
	return node.PubSubNumSub(ctx, channels...).Result()
}

// Trials implements link.Form.
func (f *Form) Trials(name string, recovery bool) []link.Trial {
	n := f.newNamespace(name)
	all := f.CommonTrials(n.Namespace)
	verb, counting := "SUBSCRIBE", []link.Trial{link.TryCommand("PUBSUB NUMSUB", "", "PUBSUB", "NUMSUB", n.RequestChannel())}
	if f.cfg.ShardedPubSub {
		verb, counting = "SSUBSCRIBE", f.TryCountingShards(n.RequestChannel())
	}
	all = append(all, f.TrySubscribing(verb, n.RequestChannel())...)
	all = append(all, f.TrySubscribing(verb, n.Own)...)
	all = append(all, counting...)
	for _, stream := range f.reader.names {
		all = append(all,
			link.TryCommand("XADD to "+stream, stream, "XADD", stream, "MAXLEN", "~", f.cfg.MaxLen, "0-0", "check", ""), // an id that no entry may have
			link.TryCommand("XREAD of "+stream, stream, "XREAD", "COUNT", 1, "STREAMS", stream, "$"),
			link.TryCommand("XINFO STREAM of "+stream, stream, "XINFO", "STREAM", stream))
		if f.cfg.MaxBytes >= 0 {
			all = append(all, link.TryCommand("XTRIM of "+stream, stream, "XTRIM", stream, "MINID", "~", "0-0"))
		}
	}
	if recovery {
		all = append(all, f.recoveryTrials(n.stream)...)
	}
	return all
}

// broadcastType is the type field of an entry that is a broadcast.
var broadcastType = strconv.Itoa(int(wire.ClusterBroadcast))

// take carries out an entry of a stream. The reader holds the stream's turn, which also guards
// scratch.
func (f *Form) take(e *wire.Entry, scratch *wire.Scratch) error {
	if len(e.Data) > f.Config.MaxMessageBytes {
		return link.ErrTooLarge
	}
	n := f.find(e.Namespace)
	if n == nil || e.Namespace == "" {
		f.Skip()
		return nil
	}
	rec := n.recovery.Load()
	if e.UID == n.UID {
		f.Skip()
		if rec != nil && e.Type == broadcastType {
			rec.inFlight.seen([]byte(e.Data))
		}
		return nil
	}
	if f.IsEcho([]byte(e.UID)) {
		f.Skip()
		return nil
	}
	c, err := e.Parse()
	if err != nil {
		return err
	}
	switch {
	case c.Type < wire.ClusterBroadcast, c.Type > wire.ClusterAck, c.Type.IsAnswer():
		f.Skip() // answers don't go this way; older versions of Node's adapter send heartbeats
		return nil
	case c.Type == wire.ClusterBroadcast && !c.WantsAck():
		place := ""
		if rec != nil && c.Recoverable() {
			place = rec.inFlight.position().String()
		}
		_, err := n.DeliverCluster(&c, scratch, place)
		return err
	}
	q, err := c.Request()
	if err == nil {
		n.TakeRequest(q)
	}
	return err
}
