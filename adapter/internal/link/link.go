package link

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// farewell bounds how long a process that ends still sends.
const farewell = time.Second

// Link connects the namespaces of this process with those of the other servers that share Redis,
// Config.Key and the form.
type Link struct {
	Config  Config
	Conn    *redisconn.Conn
	Log     *slog.Logger
	Metrics *Metrics
	Sub     *redisconn.Subscription

	form       Form
	hooks      Hooks
	namespaces namespaces
	outages    *outages
	publisher  *publisher
	peers      *peers
	complaint  complaint
}

// New makes a link for a form. It dials nothing.
func New(cfg Config, form Form, hooks Hooks) (*Link, error) {
	cfg = cfg.withDefaults()
	if cfg.Wrap != nil {
		form = cfg.Wrap(form)
	}
	l := &Link{
		Config: cfg, Conn: cfg.Conn, Log: cfg.Log, form: form, hooks: hooks,
		namespaces: namespaces{byName: make(map[string]*Namespace), byUID: make(map[string]*Namespace)},
	}
	l.outages = newOutages(l)
	var err error
	if l.Metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("adapter: register metrics: %w", err)
	}
	l.publisher = newPublisher(cfg, form, l.Conn, l.Metrics, l.outages.signalLost)
	l.peers = newPeers(l)
	l.Sub = l.Conn.Subscribe(redisconn.SubConfig{
		Name:        "adapter",
		Channels:    []string{l.peers.channel},
		MaxPayload:  cfg.MaxMessageBytes,
		OnMessage:   l.receive,
		OnOversized: func(channel string, size int) { l.Refuse(Oversized, channel, size) },
		OnUp:        l.outages.onUp,
		OnDown:      l.outages.onDown,
		OnResumed:   l.outages.onResumed,
		OnMoved:     l.outages.onMoved,
	})
	return l, nil
}

// Add opens a namespace for a server. It doesn't block.
func (l *Link) Add(n *Namespace, local cluster.Local) error {
	n.Local, n.HasRoom = local, local.HasRoom
	return l.namespaces.add(n, func() {
		l.Config.Group.add(n.Name, n.UID)
		n.protocol.Listen()
		l.peers.beatSoon()
	})
}

// remove ends a namespace's part.
func (l *Link) remove(n *Namespace) {
	l.namespaces.remove(n, func() {
		l.Config.Group.remove(n.Name, n.UID)
		n.protocol.Unlisten()
		l.peers.beatSoon()
	})
}

// Find returns the open namespace of a name, or nil. It doesn't allocate.
func (l *Link) Find(name []byte) *Namespace { return l.namespaces.find(name) }

// Run carries messages until ctx ends. Then it sends the waiting messages, for a second at most,
// and says goodbye to the peers. Call it once. Requests that are under way when it returns end with
// ErrClosed.
func (l *Link) Run(ctx context.Context) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx, for the farewell
	defer stop()
	g, hard := errgroup.WithContext(hard)
	if l.Config.OwnConn {
		g.Go(func() error { return l.Conn.Run(hard) })
	}
	g.Go(func() error {
		if l.ready(hard) != nil { // other servers expect a subscriber to hear everything
			return nil
		}
		return l.Sub.Run(hard)
	})
	g.Go(func() error { return l.publisher.run(hard) })
	g.Go(func() error { return l.publisher.watchdog.run(hard, l.replaced, l.silent) })
	g.Go(func() error { return l.peers.run(hard) })
	g.Go(func() error { return l.outages.run(hard) })
	if l.hooks.Run != nil {
		g.Go(func() error { return l.hooks.Run(hard) })
	}
	select {
	case <-ctx.Done():
		last, done := context.WithTimeout(hard, farewell)
		l.publisher.drain(last)
		if l.hooks.Drain != nil {
			l.hooks.Drain(last)
		}
		l.peers.goodbye(last)
		done()
	case <-hard.Done():
	}
	stop()
	err := g.Wait()
	l.close()
	if l.Config.OwnConn {
		err = errors.Join(err, l.Conn.Close())
	}
	return err
}

func (l *Link) close() {
	for _, n := range l.namespaces.close() {
		n.asks.open.failAll(ErrClosed)
	}
}

// Up reports whether this process hears all other servers at the moment.
func (l *Link) Up() bool { return l.outages.up.Load() && l.Sub.Up() }

// Settled reports whether this process hears all the channels that it wants to hear.
func (l *Link) Settled() bool { return l.Sub.Settled() }

// Hears is Up as the link was last told. It is cheaper, and may be a moment late.
func (l *Link) Hears() bool { return l.outages.up.Load() }

// Lost reports an outage: this process has heard Redis before and doesn't now.
func (l *Link) Lost() bool { return l.outages.known.Load() && !l.outages.up.Load() }

// Wait returns once this process hears all other servers, and messages to them go out at once, or
// with ctx's error. Run must be running.
func (l *Link) Wait(ctx context.Context) error {
	select {
	case <-l.outages.begun:
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.awaitHearing(ctx)
}

// awaitHearing returns once this process hears all other servers, or with ctx's error.
func (l *Link) awaitHearing(ctx context.Context) error {
	if err := l.Sub.Wait(ctx); err != nil {
		return err
	}
	return l.ready(ctx)
}

func (l *Link) ready(ctx context.Context) error {
	if l.hooks.Ready == nil {
		return nil
	}
	return l.hooks.Ready(ctx)
}

// KnownPeers is the number of other processes of ours that have announced themselves.
func (l *Link) KnownPeers() int {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	return len(l.peers.known)
}

// Servers returns about how many servers there are, this one included: our peers, and those of
// Node's that the last beat counted.
func (l *Link) Servers() int {
	l.peers.mu.Lock()
	defer l.peers.mu.Unlock()
	most := 0
	for _, others := range l.peers.lastRest {
		most = max(most, others)
	}
	return 1 + len(l.peers.known) + most
}

// NewID makes a random id in the alphabet of Node's ids.
func NewID(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewHexID makes a random id of 16 hexadecimal digits: how Node names a namespace of a process in
// forms other than the classic one.
func NewHexID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// newRequestID is longer than Node's 6 characters. All servers hear an answer, so it must not match
// another's request.
func newRequestID() string { return NewID(12) }

// complaint limits the log lines about messages that can't be read.
type complaint struct {
	mu   sync.Mutex
	next time.Time
	n    int
}

// ComplaintEvery is the time between two log lines about the same kind of fault.
const ComplaintEvery = 10 * time.Second

// Refuse counts an incoming message that is dropped. It logs the first in 10 s: the channel and the
// size, not the content.
func (l *Link) Refuse(reason, channel string, size int) {
	l.Metrics.Drop(reason, 1)
	c := &l.complaint
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if now := time.Now(); now.After(c.next) {
		l.Log.Warn("message from another server dropped", "channel", strings.ToValidUTF8(channel, "\uFFFD"), "bytes", size, "reason", reason, "messages", c.n)
		c.next, c.n = now.Add(ComplaintEvery), 0
	}
}
