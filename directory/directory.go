package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// lastWords limits how long an ending process waits for Redis to take its goodbye.
const lastWords = time.Second

// clockHead is the time on a new directory's clock, so that keys that were written earlier have a
// positive time too.
const clockHead = 30 * 24 * time.Hour

// Directory is what one process knows about the workers and sessions of an app.
type Directory struct {
	cfg     Config
	conn    *redisconn.Conn
	ownConn bool // Run runs conn and closes it
	keys    keys
	client  redis.UniversalClient
	metrics *metrics
	start   time.Time
	cache   *cache
	writer  *writer
	ttls    *longest
	secret  secret
	pulse   pulse

	unread    sparse      // said that the records can't be read
	ignored   once        // records that are no good
	lost      sparse      // said that Redis has lost data
	rewritten sparse      // because of that
	behind    atomic.Bool // it has again, and nothing was written since

	unwritten chan struct{} // some cached entries were never written

	lookups   *lookups
	strangers strangers

	events   *redisconn.Subscription
	refresh  chan struct{} // look at the records now: at all, or at those that events named
	memory   memory        // of follow
	deaths   chan string   // workers to be declared gone
	silences chan event    // and what is to be said of others
	openings *openings
	cut      atomic.Bool   // the events are not heard: not yet, or Redis may be away
	back     atomic.Bool   // they are heard again, and the records not yet looked at
	looks    atomic.Uint64 // at the records, that Redis answered

	mu      sync.Mutex // guards the rest
	roster  *roster
	listed  []Worker              // by hand
	looked  bool                  // at the records
	whole   bool                  // look at all records
	named   map[string]struct{}   // look at these workers' records
	table   atomic.Pointer[Table] // written under mu
	changed chan struct{}         // closed when table changes
}

// Open checks cfg and makes a Directory. With a connection of its own it also tries Redis once, and
// fails where only an operator can help: a wrong password, say, or a missing right. A Redis that
// doesn't answer is no error, because Run connects as soon as it does. With cfg.Conn, Open dials
// nothing.
//
// A Directory with a connection of its own closes it at the end of Run.
func Open(ctx context.Context, cfg Config) (*Directory, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	conn, owned, err := cfg.connect()
	if err != nil {
		return nil, err
	}
	d, err := newDirectory(cfg, conn)
	if err != nil || !owned {
		return d, err
	}
	d.ownConn = true
	if err := d.Check(ctx); err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

func newDirectory(cfg Config, conn *redisconn.Conn) (*Directory, error) {
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("directory: register metrics: %w", err)
	}
	d := &Directory{
		cfg:       cfg,
		conn:      conn,
		keys:      keys{cfg.App},
		client:    conn.Client(),
		metrics:   m,
		start:     time.Now().Add(-clockHead),
		cache:     newCache(cfg.CacheSize),
		ttls:      newLongest(cfg.SIDTTL),
		refresh:   make(chan struct{}, 1),
		unwritten: make(chan struct{}, 1),
		deaths:    make(chan string, 16),
		silences:  make(chan event, 16),
		openings:  newOpenings(),
		roster:    newRoster(cfg.SIDTTL),
		named:     make(map[string]struct{}),
		changed:   make(chan struct{}),
	}
	d.writer = newWriter(d.writeBatch, d.keys.sid, conn.Place)
	d.lookups = newLookups(d.fetch, d.conn.Place)
	d.table.Store(newTable(0, nil, nil, nil))
	d.cut.Store(true)
	first := true
	d.events = conn.Subscribe(redisconn.SubConfig{
		Name:       "directory events",
		Channels:   []string{d.keys.events()},
		MaxPayload: maxRecord,
		OnMessage:  func(_ string, payload []byte) bool { d.heard(payload); return false },
		OnUp: func() {
			d.strangers.forget()
			d.cut.Store(false)
			d.back.Store(!first)
			first = false
			d.lookAgain()
		},
		OnDown: func() { d.cut.Store(true) },
	})
	return d, nil
}

// Run follows the records and events of the app and writes sids, until ctx ends. Then it writes the
// sids that still wait, for at most a second. Call it once. A process that only registers itself over
// a connection that it shares doesn't need Run.
func (d *Directory) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	if d.ownConn {
		stop := d.runConn(ctx)
		defer stop()
	}
	g.Go(func() error { return d.events.Run(running) })
	g.Go(func() error { return d.follow(running) })
	g.Go(func() error { return d.writer.run(running) })
	g.Go(func() error { return d.restore(running) })
	g.Go(func() error { return d.announceDeaths(running) })
	g.Go(func() error { return d.countOpenings(running) })
	defer d.lookups.close()
	return g.Wait()
}

// runConn runs the Directory's own connection until stop, which closes it. The last writes need it.
func (d *Directory) runConn(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = d.conn.Run(ctx) }) // it ends with ctx, without an error
	return func() {
		cancel()
		running.Wait()
		if err := d.conn.Close(); err != nil {
			d.cfg.Log.Debug("close the connection to Redis", "error", err)
		}
	}
}

// Workers returns the workers and routers as last seen. It takes one atomic load.
func (d *Directory) Workers() *Table { return d.table.Load() }

// Changed returns a channel that is closed at the next change of Workers. Call it before Workers.
func (d *Directory) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Synced waits until the directory has read the app's records and hears its events. It returns ctx's
// error if that ends first.
func (d *Directory) Synced(ctx context.Context) error {
	if err := d.events.Wait(ctx); err != nil {
		return err
	}
	for {
		d.mu.Lock()
		changed, looked := d.changed, d.looked
		d.mu.Unlock()
		if looked {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// now returns the time on this directory's monotonic clock. 0 is long ago.
func (d *Directory) now() int64 { return int64(time.Since(d.start)) }

// lookAgain makes follow look at all records now.
func (d *Directory) lookAgain() {
	d.mu.Lock()
	d.whole = true
	d.mu.Unlock()
	kick(d.refresh)
}

// nameLocked makes follow look at a worker's record, once refresh is kicked.
func (d *Directory) nameLocked(id string) {
	if len(d.named) < maxHeard {
		d.named[id] = struct{}{}
	} else {
		d.whole = true
	}
}

// wanted returns the workers at whose records to look, or whole for all records.
func (d *Directory) wanted() (ids []string, whole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids, whole = slices.Collect(maps.Keys(d.named)), d.whole
	clear(d.named)
	d.whole = false
	return ids, whole
}

// publishLocked replaces the table by the roster's present state.
func (d *Directory) publishLocked() {
	t := d.roster.table(d.table.Load().version+1, d.listed)
	d.table.Store(t)
	close(d.changed)
	d.changed = make(chan struct{})
	d.metrics.countWorkers(t)
}

// setUpstreams replaces the upstreams, which the table has beside the registered workers.
func (d *Directory) setUpstreams(workers []Worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listed = workers
	d.publishLocked()
}
