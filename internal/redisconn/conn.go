package redisconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	dialTimeout    = 2 * time.Second
	commandTimeout = 3 * time.Second // read and write, where the context does not end earlier
	probeTimeout   = 2 * time.Second
	probeUp        = 2 * time.Second        // between probes while Redis answers
	probeDownFirst = 20 * time.Millisecond  // after the first that failed: an embedded Redis is there within milliseconds
	probeDownMost  = time.Second            // then doubling up to this
	doubtEvery     = 100 * time.Millisecond // doubts closer together than this ask once
	waitingEvery   = 10 * time.Second       // between log lines while Redis was never there
)

// Conn is one Redis of any form. It knows whether Redis is there.
type Conn struct {
	client  redis.UniversalClient
	one     *redis.Client          // client, outside a cluster
	cluster *clusterMap            // nil outside a cluster
	place   int                    // which of a cluster's nodes this process prefers
	options redis.UniversalOptions // of client
	target  target
	// dial is how the client dials, TLS included.
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	shown string // the URL with its password hidden
	log   *slog.Logger
	doubt chan struct{}
	count metrics
	took  atomic.Int64 // the last probe, in ns

	mu      sync.Mutex // guards the rest
	state   bool
	err     error         // why it is down; nil before the first probe
	changed chan struct{} // closed at the next change of state
}

// Open checks cfg and makes a Conn. It dials nothing. A [ConfigError] names the field, its value
// with the password hidden, and the rule. Close the Conn when nothing uses it any more.
func Open(cfg Config) (*Conn, error) {
	t, err := parseURL(cfg.URL)
	if err != nil {
		return nil, &ConfigError{"URL", Redact(cfg.URL), err.Error()}
	}
	if cfg.Username != "" {
		t.username = cfg.Username
	}
	if cfg.Password != "" {
		t.password = cfg.Password
	}
	opt := options(t)
	if t.tls {
		if opt.TLSConfig, err = cfg.tlsConfig(); err != nil {
			return nil, err
		}
	} else if cfg.CAFile+cfg.CertFile+cfg.KeyFile != "" {
		return nil, &ConfigError{"URL", Redact(cfg.URL), "must begin with rediss when CAFile, CertFile or KeyFile is set"}
	}
	count, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("redisconn: register metrics: %w", err)
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	quietLibrary(cfg.Log)
	dial := redis.NewDialer(opt.Simple())
	if opt.TLSConfig == nil {
		opt.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return quiet(conn), nil
		}
	}
	c := &Conn{
		options: *opt,
		target:  t,
		dial:    dial,
		shown:   Redact(cfg.URL),
		log:     cfg.Log,
		doubt:   make(chan struct{}, 1),
		count:   count,
		changed: make(chan struct{}),
	}
	c.client = newClient(t.form, opt)
	if t.form == cluster {
		c.place = rand.IntN(slots)
		c.cluster = newClusterMap(t.addrs, func(addr string) *redis.Client {
			alone := *opt
			alone.Addrs = []string{addr}
			return redis.NewClient(alone.Simple())
		})
	} else {
		c.one = c.client.(*redis.Client)
	}
	return c, nil
}

// From returns the Conn behind an opaque handle of a public package.
func From(handle any) (*Conn, error) {
	c, ok := handle.(*Conn)
	if !ok {
		return nil, fmt.Errorf("Conn is a %T: sidereal.OpenRedis makes them", handle)
	}
	return c, nil
}

const (
	// poolSize bounds the connections of a process to one Redis server, without subscriptions.
	// Writers pipeline, and 8 concurrent lookups are about 16,000 per second at half a millisecond
	// of network latency. The library's own bound is 10 per core.
	poolSize = 8
	poolIdle = time.Minute
)

func options(t target) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: t.addrs, MasterName: t.master, DB: t.db,
		Username: t.username, Password: t.password,
		SentinelUsername: t.sentinelUsername, SentinelPassword: t.sentinelPassword,
		DialTimeout: dialTimeout, ReadTimeout: commandTimeout, WriteTimeout: commandTimeout,
		DialerRetries: 1, MaxRetries: -1, // a PUBLISH or a beat is repeated by whoever knows that it may be
		ContextTimeoutEnabled: true,
		Protocol:              2, // nothing here needs RESP3; 2 spares each connection two more commands
		DisableIdentity:       true,
		PoolSize:              poolSize,
		ConnMaxIdleTime:       poolIdle,
		PipelinePoolSize:      -1, // the ordinary pool serves pipelines: 256 KB less for each connection
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// Client returns the client for commands on keys. It doesn't retry. That of a cluster retries if a
// node is lost or no longer serves the key, so its commands must tolerate repetition. Use a context
// with a deadline if the caller must not wait for commandTimeout (3 s).
func (c *Conn) Client() redis.UniversalClient { return c.client }

// String returns the URL with every password hidden.
func (c *Conn) String() string { return c.shown }

// Cluster reports whether this is a Redis Cluster, where the keys of one command must share a hash
// slot.
func (c *Conn) Cluster() bool { return c.target.form == cluster }

// Run probes Redis until ctx ends: every 2 s while Redis is up, and with backoff up to 1 s while it
// isn't. Call it once.
func (c *Conn) Run(ctx context.Context) error {
	var (
		backoff = probeDownFirst
		timer   = time.NewTimer(0)
		probed  time.Time
		waiting = time.Now().Add(waitingEvery)
		ever    bool
		words   outageWords
	)
	defer timer.Stop()
	<-timer.C
	for {
		began := time.Now()
		err := c.probe(ctx)
		if ctx.Err() != nil {
			return nil
		}
		probed = time.Now()
		c.took.Store(int64(probed.Sub(began)))
		if err == nil {
			c.count.probes.Observe(probed.Sub(began).Seconds())
		}
		wasUp := c.Up()
		c.set(err, ever)
		if said := words.add(err); said && !wasUp {
			c.log.Info("Redis is still lost", "redis", c.shown, "error", err)
		}
		wait := probeUp
		if err == nil {
			ever, backoff = true, probeDownFirst
		} else {
			wait, backoff = backoff, min(2*backoff, probeDownMost)
			if !ever && probed.After(waiting) {
				c.log.Warn("waiting for Redis", "redis", c.shown, "error", err)
				waiting = probed.Add(waitingEvery)
			}
		}
		timer.Reset(wait)
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
				again = true
			case <-c.doubt:
				// The library asks nobody when a node is dead: its keys would be sought there until
				// the next turn.
				if of, ok := c.client.(*redis.ClusterClient); ok {
					of.ReloadState(ctx)
				}
				if err == nil {
					timer.Reset(max(doubtEvery-time.Since(probed), 0))
				}
			}
		}
	}
}

func (c *Conn) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var err error
	if c.cluster != nil {
		err = Classify(c.cluster.ping(ctx))
	} else {
		err = Classify(c.one.Ping(ctx).Err())
	}
	if refusesPing(err) {
		return nil
	}
	if hungUp(err) && c.protected(ctx) {
		return ErrProtected
	}
	return err
}

// Latency returns how long the last probe took; zero before the first.
func (c *Conn) Latency() time.Duration { return time.Duration(c.took.Load()) }

// set records the outcome of a probe and wakes those who wait for a change.
func (c *Conn) set(err error, ever bool) {
	c.mu.Lock()
	was := c.state
	first := c.err == nil && !was
	c.state, c.err = err == nil, err
	if was != c.state {
		close(c.changed)
		c.changed = make(chan struct{})
	}
	c.mu.Unlock()
	c.count.set(err == nil)
	switch {
	case err == nil && !was && ever:
		c.log.Info("Redis is back", "redis", c.shown)
	case err == nil && !was:
		c.log.Debug("Redis answers", "redis", c.shown)
	case err != nil && was:
		c.log.Warn("Redis lost", "redis", c.shown, "error", err)
	case err != nil && first && !ever:
		c.log.Warn("Redis doesn't answer; waiting for it", "redis", c.shown, "error", err)
	}
}

// outageWords are the errors that Redis itself answered since it was last up, by their first words:
// LOADING, say, after a restart. Redis knows few of them.
type outageWords map[string]struct{}

// add adds the word of a probe's error, and reports whether it is new, and not the first one.
func (w *outageWords) add(err error) bool {
	if err == nil {
		*w = nil
		return false
	}
	var answer redis.Error
	word := ""
	if errors.As(err, &answer) {
		word, _, _ = strings.Cut(answer.Error(), " ")
	}
	first := *w == nil
	if first {
		*w = make(outageWords)
	}
	if _, ok := (*w)[word]; ok || len(*w) == maxOutageWords {
		return false
	}
	(*w)[word] = struct{}{}
	return !first && word != ""
}

// maxOutageWords bounds the lines about one outage.
const maxOutageWords = 8

// Up reports whether Redis answered the last probe. It's false until Run has made its first.
func (c *Conn) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Err returns why Redis isn't up: an error of [Classify]. It returns nil while Redis is up or was
// never probed.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Changed returns a channel that is closed when Up next changes. Call it before Up.
func (c *Conn) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Wait returns when Redis is up, or with ctx's error. Run must be running.
func (c *Conn) Wait(ctx context.Context) error {
	for {
		changed := c.Changed()
		if c.Up() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Doubt makes Run probe soon instead of at its next turn. Call it after a failed command. It never
// blocks.
func (c *Conn) Doubt() {
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// Close closes every connection. Run and all subscriptions must have ended.
func (c *Conn) Close() error {
	err := c.client.Close()
	if c.cluster != nil {
		err = errors.Join(err, c.cluster.close())
	}
	return err
}
