package adapter

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// farewell bounds how long a process that ends still sends.
const farewell = time.Second

// Redis links the namespaces of this process with those of all servers on one Redis that share Config.Key.
type Redis struct {
	cfg       Config
	conn      *redisconn.Conn
	log       zerolog.Logger
	metrics   *metrics
	form      form
	publisher *publisher
	sub       *redisconn.Subscription
	peers     *peers
	complaint complaint

	up    atomic.Bool // the subscription hears everything
	known atomic.Bool // it has before
	down  time.Time   // when it last stopped hearing; only its callbacks use it
	lost  chan struct{}

	mu     sync.RWMutex // guards the rest, and the maps of the form
	closed bool
	byName map[string]*namespace
	byUID  map[string]*namespace // by our own uids
}

var _ cluster.Cluster = (*Redis)(nil)

// NewRedis makes a Redis that speaks as createAdapter does. It checks cfg; nothing is dialled before Run.
func NewRedis(cfg Config) (*Redis, error) {
	return newRedis(cfg, func(r *Redis) form { return newPubsub(r) })
}

func newRedis(cfg Config, speaking func(*Redis) form) (*Redis, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	r := &Redis{
		cfg: cfg, conn: cfg.Conn, log: cfg.Log,
		lost:   make(chan struct{}, 1),
		byName: make(map[string]*namespace),
		byUID:  make(map[string]*namespace),
	}
	r.form = speaking(r)
	var err error
	if r.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("adapter: register metrics: %w", err)
	}
	if r.conn == nil {
		if r.conn, err = redisconn.Open(redisconn.Config{URL: cfg.URL, Log: cfg.Log}); err != nil {
			return nil, err
		}
	}
	r.publisher = newPublisher(cfg, r.form, r.conn, r.metrics, r.signalLost)
	r.peers = newPeers(r)
	r.sub = r.conn.Subscribe(redisconn.SubConfig{
		Name:        "adapter",
		Channels:    []string{r.peers.channel},
		MaxPayload:  cfg.MaxMessageBytes,
		OnMessage:   r.receive,
		OnOversized: func(channel string, size int) { r.refuse(oversized, channel, size) },
		OnUp:        r.onUp,
		OnDown:      r.onDown,
		OnResumed:   r.onResumed,
		OnMoved:     r.onMoved,
	})
	return r, nil
}

// Open makes the adapter of one namespace. It may be called at any time and does not block.
func (r *Redis) Open(local cluster.Local) (cluster.Adapter, error) {
	n := newNamespace(r, local)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, ErrClosed
	case r.byName[n.name] != nil:
		return nil, fmt.Errorf("%w: %s", ErrOpen, n.name)
	}
	r.byName[n.name] = n
	r.byUID[n.uid] = n
	r.cfg.Group.add(n.name, n.uid)
	r.form.join(n)
	r.peers.nudge()
	return r.form.adapter(n), nil
}

// forget ends a namespace's part.
func (r *Redis) forget(n *namespace) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byName, n.name)
	delete(r.byUID, n.uid)
	r.cfg.Group.remove(n.name, n.uid)
	r.form.leave(n)
	r.peers.nudge()
}

// namespaces returns those that are open.
func (r *Redis) namespaces() []*namespace {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*namespace, 0, len(r.byName))
	for _, n := range r.byName {
		all = append(all, n)
	}
	return all
}

// Run carries messages until ctx ends, then sends what still waits, for a second at most, and says goodbye to the peers.
// Call it once. Requests that are under way when it returns end with ErrClosed.
func (r *Redis) Run(ctx context.Context) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx, for the farewell
	defer stop()
	g, hard := errgroup.WithContext(hard)
	if r.cfg.Conn == nil {
		g.Go(func() error { return r.conn.Run(hard) })
	}
	g.Go(func() error {
		if r.form.wait(hard) != nil { // who subscribes is counted on to hear everything
			return nil
		}
		return r.sub.Run(hard)
	})
	g.Go(func() error { return r.publisher.run(hard) })
	g.Go(func() error { return r.publisher.watch(hard, r.replaced, r.passes) })
	g.Go(func() error { return r.peers.run(hard) })
	g.Go(func() error { return r.recover(hard) })
	g.Go(func() error { return r.form.run(hard) })
	select {
	case <-ctx.Done():
		last, done := context.WithTimeout(hard, farewell)
		r.publisher.drain(last)
		r.form.farewell(last)
		r.peers.goodbye(last)
		done()
	case <-hard.Done():
	}
	stop()
	err := g.Wait()
	r.close()
	if r.cfg.Conn == nil {
		err = errors.Join(err, r.conn.Close())
	}
	return err
}

func (r *Redis) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	for _, n := range r.namespaces() {
		n.calls.failAll(ErrClosed)
	}
}

// Up tells whether this process hears all other servers at this moment.
func (r *Redis) Up() bool { return r.up.Load() && r.sub.Up() }

// Wait returns when this process hears all other servers, or with ctx's error. Run must be running.
func (r *Redis) Wait(ctx context.Context) error {
	if err := r.sub.Wait(ctx); err != nil {
		return err
	}
	return r.form.wait(ctx)
}

// newID makes a random id in the alphabet of Node's ids.
func newID(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // it never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// newUID names one namespace of one process: 6 characters, as Node's are.
func newUID() string { return newID(6)[:6] }

// newHexID names one namespace of one process in the sharded form: 16 hexadecimal digits, as Node's are.
func newHexID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// newRequestID is longer than Node's 6 characters: answers go to all servers, and must not meet another's request.
func newRequestID() string { return newID(12) }

// complaint bounds the log lines about messages that could not be read.
type complaint struct {
	mu   sync.Mutex
	next time.Time
	n    int
}

const complaintEvery = 10 * time.Second

// refuse counts a message that is dropped as it came in, and logs the first in 10 s: where it came, not what it said.
func (r *Redis) refuse(reason, channel string, size int) {
	r.metrics.drop(reason, 1)
	c := &r.complaint
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if now := time.Now(); now.After(c.next) {
		r.log.Warn().Str("channel", strings.ToValidUTF8(channel, "\uFFFD")).Int("bytes", size).Str("reason", reason).
			Int("messages", c.n).Msg("message from another server dropped")
		c.next, c.n = now.Add(complaintEvery), 0
	}
}

// options are what a broadcast says to the wire.
func options(t cluster.Target, f cluster.Flags) wire.Options {
	return wire.Options{Rooms: unique(t.Rooms), Except: unique(t.Except), Flags: wire.Flags{
		ExpectSingleResponse: f.ExpectSingleResponse, Timeout: f.Timeout, Volatile: f.Volatile, Compress: f.Compress,
	}}
}

// unique leaves out rooms that were named before.
func unique(rooms []string) []string {
	for i, room := range rooms {
		for _, before := range rooms[:i] {
			if before == room {
				return compact(rooms)
			}
		}
	}
	return rooms
}

func compact(rooms []string) []string {
	seen := make(map[string]bool, len(rooms))
	var out []string
	for _, room := range rooms {
		if !seen[room] {
			seen[room] = true
			out = append(out, room)
		}
	}
	return out
}
