package directory

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// lastWords limits how long an ending process waits for Redis to take its goodbye.
const lastWords = time.Second

// Directory is what one process knows about the workers and sessions of an app.
type Directory struct {
	*app
	ownConn bool // Run runs conn and closes it

	sids      *sids      // who owns which session, and the writes of it
	follower  *follower  // the table of workers and routers
	finder    *finder    // answers Owner, from both
	announcer *announcer // tells other processes about workers
	openings  *openings  // of sessions, by all routers
	secret    *secret    // of the routers
	own       *pulse     // of the records of this process
	moves     *moves     // orders to move sessions
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
	app, err := newApp(cfg, conn)
	if err != nil {
		return nil, err
	}
	d := newDirectory(cfg, app)
	if !owned {
		return d, nil
	}
	d.ownConn = true
	if err := d.Check(ctx); err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

func newDirectory(cfg Config, a *app) *Directory {
	d := &Directory{app: a, secret: &secret{app: a}, own: &pulse{app: a}, announcer: newAnnouncer(a)}
	d.sids = newSIDs(a, cfg.CacheSize, cfg.SIDTTL)
	d.follower = newFollower(a, cfg.SIDTTL, d.own, d.secret, d.sids)
	d.finder = newFinder(a, d.sids, d.follower)
	d.openings = newOpenings(a, func() int { return len(d.Workers().Routers()) })
	d.moves = &moves{a, d.follower}
	return d
}

// Run follows the records and events of the app and writes sids, until ctx ends. Then it writes the
// sids that still wait, for at most a second. Call it once. A process that only registers itself
// over a connection that it shares doesn't need Run.
func (d *Directory) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	if d.ownConn {
		stop := d.runConn(ctx)
		defer stop()
	}
	g.Go(func() error { return d.follower.events.Run(running) })
	g.Go(func() error { return d.follower.run(running) })
	g.Go(func() error { return d.sids.writer.run(running) })
	g.Go(func() error { return d.sids.restore(running) })
	g.Go(func() error { return d.announcer.run(running) })
	g.Go(func() error { return d.openings.run(running) })
	defer d.finder.close()
	return g.Wait()
}

// Workers returns the workers and routers as last seen. It takes one atomic load.
func (d *Directory) Workers() *Table { return d.follower.Workers() }

// Changed returns a channel that is closed at the next change of Workers. Call it before Workers.
func (d *Directory) Changed() <-chan struct{} { return d.follower.Changed() }

// Synced waits until the directory has read the app's records and hears its events. It returns
// ctx's error if that ends first.
func (d *Directory) Synced(ctx context.Context) error { return d.follower.synced(ctx) }

// Owner finds the worker that owns sid. An answer from the cache takes less than 200 ns and
// allocates nothing. Otherwise Owner waits for Redis: at most 250 ms if the sid's tag has an answer
// too, else at most 1 second. The answer for an owner that is gone is DecisionUnknown.
func (d *Directory) Owner(ctx context.Context, sid string) Owner { return d.finder.owner(ctx, sid) }

// Trace returns the answer of Owner for a sid, and the reason. Unlike Owner it changes nothing:
// neither the cache nor the key's TTL. With an error of Redis the Trace holds what this process
// knows.
func (d *Directory) Trace(ctx context.Context, sid string) (Trace, error) {
	return d.finder.trace(ctx, sid)
}

// Learn notes that workerID opened the session sid: in this process, and in Redis for other
// routers. It returns when any router can find the session: at once if the sid's tag names the
// worker, else when Redis has it, and after 250 ms at the latest. Then it writes the key as soon as
// Redis takes it. Ttl is [EntryTTL] of the open packet.
func (d *Directory) Learn(ctx context.Context, sid, workerID string, ttl time.Duration) {
	tagged := d.Workers().tagged(sid)
	d.sids.learn(ctx, sid, workerID, ttl, tagged != nil && tagged.ID == workerID)
}

// Touch notes that sid was used. Call it at the start and the end of each request. It renews the
// key in the background, at most once in a third of its TTL. It ignores a sid that isn't in the
// cache.
func (d *Directory) Touch(sid string) { d.sids.touch(sid) }

// Opened notes that this router opened a session. The directory tells the other routers now and
// then.
func (d *Directory) Opened() { d.openings.opened() }

// OpenedRatio returns how many sessions all routers together opened in the last seconds for each
// session that this one opened. It is 0 if the directory doesn't know.
func (d *Directory) OpenedRatio() float64 { return d.openings.ratio() }

// WorkerGone reports a dead worker, for a caller that saw its end: a child process that exited, a
// refused connection, another process at its address. This process forgets the worker at once, and
// an event tells the others. A worker that lives is back with its next beat. WorkerGone never
// blocks.
func (d *Directory) WorkerGone(id string) {
	if d.follower.died(id, true) {
		d.announcer.gone(id)
	}
}

// WorkerSilent reports that a worker has missed its beats, or beats again. Its supervisor calls it
// every second while the worker is silent. Meanwhile the worker gets no new sessions: from this
// process at once, from the others by an event. WorkerSilent never blocks.
func (d *Directory) WorkerSilent(id string, silent bool) {
	d.follower.silent(id, silent)
	d.announcer.silent(id, silent)
}

// MarkSilent is WorkerSilent without the event.
func (d *Directory) MarkSilent(id string, silent bool) { d.follower.silent(id, silent) }

// Secret returns the secret that routers show each other. The first router makes it. After the
// first call it comes from memory, so that a router can serve while Redis is away. It is never
// empty without an error.
func (d *Directory) Secret(ctx context.Context) (string, error) { return d.secret.get(ctx) }

// Secrets returns the secret and those of the last 10 minutes, which other routers may still show.
// It doesn't ask Redis.
func (d *Directory) Secrets() []string { return d.secret.all() }

// Accepts reports whether shown is the secret of this app's routers. For a secret that this process
// doesn't know it asks Redis, because the secret may be new; for all callers together it does so at
// most four times a second.
func (d *Directory) Accepts(ctx context.Context, shown string) bool {
	return d.secret.accepts(ctx, "", shown)
}

// AcceptsAt is Accepts for a worker, which also accepts its own [WorkerKey].
func (d *Directory) AcceptsAt(ctx context.Context, workerID, shown string) bool {
	return d.secret.accepts(ctx, workerID, shown)
}

// RegisterWorker claims a worker id and writes w under it. It waits for Redis until ctx ends. With
// an empty w.ID it makes ids until it finds a free one; else it fails if another process has that
// id. An empty w.State means StateStarting. Load returns the number of clients, for each beat; it
// may be nil. The claim expires after 6 seconds, so run the Registration before.
func (d *Directory) RegisterWorker(ctx context.Context, w Worker, load func() (clients int)) (*Registration[Worker], error) {
	return register(ctx, d, workerKind, w, w.ID, d.keys.workers(), d.keys.worker, load)
}

// RegisterRouter is RegisterWorker for a router.
func (d *Directory) RegisterRouter(ctx context.Context, r Router, load func() (sessions int)) (*Registration[Router], error) {
	return register(ctx, d, routerKind, r, r.ID, d.keys.routers(), d.keys.router, load)
}

// OrderMoves calls plan with the workers and routers as Redis has them now, and gives the workers
// their orders, by id. It fails with ErrMovesOrdered if another process did so in the last 15
// seconds. An error of plan ends it, as does a plan without orders. The Directory must be running.
func (d *Directory) OrderMoves(ctx context.Context, plan func(*Table) (map[string]MoveOrder, error)) error {
	return d.moves.order(ctx, plan)
}

// StopMoves gives workers orders to move nobody, which replace earlier ones.
func (d *Directory) StopMoves(ctx context.Context, workers ...string) error {
	return d.moves.stop(ctx, workers)
}

// Apps returns the names of all apps with a worker or router in this Redis, sorted. It looks at
// every key, which takes long in a large Redis; if ctx ends first, it returns the apps that it has
// found and an error. The user of Redis needs the right to SCAN.
func (d *Directory) Apps(ctx context.Context) ([]string, error) { return apps(ctx, d.conn) }

// Check tries every command that this package needs, on keys of the app, and leaves nothing behind.
// An error is sidereal.ErrRedisUnreachable, or one that only an operator can fix: a wrong password,
// or a missing right, whose command or key it names.
func (d *Directory) Check(ctx context.Context) error { return d.app.check(ctx) }

// setUpstreams replaces the upstreams, which the table has beside the registered workers.
func (d *Directory) setUpstreams(workers []Worker) { d.follower.setUpstreams(workers) }
