package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	defaultInterval = 5 * time.Second
	// countEvery is how often the table gets each upstream's number of clients.
	countEvery = time.Second
	// lookupTimeout limits the resolution of a name.
	lookupTimeout = 5 * time.Second
)

// UpstreamConfig lists upstreams.
type UpstreamConfig struct {
	// List has the upstreams, separated by commas: http:// or https:// with host and port. A name
	// stands for all its addresses, which are resolved again every Interval. An address that
	// appears gets new sessions; one that disappears keeps the sessions that it has.
	List string
	// Shared keeps the sids in Redis, where all routers with the same List find them. Its workers
	// are in the table too. It must be running. Nil keeps the sids in this process, for this router
	// only. Then no sid in use is forgotten: each handshake of the last 90 seconds takes 162 bytes.
	Shared *Directory

	// Path is the path of Socket.IO. Empty means "/socket.io/".
	Path string
	// Check is a path that a healthy upstream answers with a status below 400. Empty means Path,
	// with any status below 500.
	Check string
	// Interval is the time between two checks of an upstream, and two resolutions of a name. Zero
	// means 5 seconds. A shorter interval notices changes sooner and costs more requests.
	Interval time.Duration

	// RootCAs are the authorities that may sign the certificates of https:// upstreams. Nil means
	// the system's.
	RootCAs *x509.CertPool
	// Resolver resolves names. Nil means the system's.
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	}

	// Log gets one line when an upstream's state changes. Nil means slog.Default().
	Log *slog.Logger
	// Metrics registers the sidereal_directory_upstream_* metrics, and sidereal_directory_workers
	// if Shared is nil. Nil registers nothing.
	Metrics prometheus.Registerer
}

// store keeps the sids and the table: a Static, or a Directory.
type store interface {
	Owner(ctx context.Context, sid string) Owner
	Trace(ctx context.Context, sid string) (Trace, error)
	Learn(ctx context.Context, sid, workerID string, ttl time.Duration)
	Touch(sid string)
	Workers() *Table
	Changed() <-chan struct{}
	Secret(ctx context.Context) (string, error)
	Secrets() []string
	Accepts(ctx context.Context, shown string) bool
	WorkerGone(id string)
	Opened()
	OpenedRatio() float64

	setUpstreams(workers []Worker)
}

var (
	_ store = (*Static)(nil)
	_ store = (*Directory)(nil)
)

// Upstreams is a directory for a router whose workers are upstreams: servers that know nothing of
// Sidereal. It resolves their names and checks them.
type Upstreams struct {
	store
	cfg     UpstreamConfig
	own     *Static // store, if no Directory is shared
	entries []listing
	metrics *upstreamMetrics
	check   func(context.Context, *Upstream) verdict

	mu    sync.Mutex     // guards the rest
	found [][]netip.Addr // what each entry stands for
	byID  map[string]*Upstream
	watch func(*Upstream) // starts its checks; nil before Run
}

// NewUpstreams checks cfg and makes an Upstreams. It dials nothing.
func NewUpstreams(cfg UpstreamConfig) (*Upstreams, error) {
	var problems []error
	entries, err := parseUpstreams(cfg.List)
	if err != nil {
		problems = append(problems, fmt.Errorf("directory: List: %w", err))
	}
	if cfg.Path == "" {
		cfg.Path = "/socket.io/"
	}
	for name, p := range map[string]string{"Path": cfg.Path, "Check": cfg.Check} {
		if p != "" && !validCheckPath(p) {
			problems = append(problems, fmt.Errorf("directory: %s %q: must be a path such as /healthz", name, p))
		}
	}
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	u := &Upstreams{cfg: cfg, entries: entries, found: make([][]netip.Addr, len(entries)), byID: make(map[string]*Upstream), check: probe}
	if u.metrics, err = newUpstreamMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("directory: register metrics: %w", err)
	}
	if u.store = cfg.Shared; cfg.Shared == nil {
		if u.own, err = newAlone(cfg.Metrics); err != nil {
			return nil, fmt.Errorf("directory: register metrics: %w", err)
		}
		u.store = u.own
	}
	return u, nil
}

// Run resolves names and checks the upstreams until ctx ends. Call it once.
func (u *Upstreams) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	u.mu.Lock()
	u.watch = func(b *Upstream) {
		var watching context.Context
		watching, b.forget = context.WithCancel(ctx)
		g.Go(func() error { return u.keepChecking(watching, b) })
	}
	u.mu.Unlock()
	for i, l := range u.entries {
		if a := l.literal(); a.IsValid() {
			u.list(i, []netip.Addr{a})
			continue
		}
		g.Go(func() error { return u.follow(ctx, i) })
	}
	g.Go(func() error { return u.count(ctx) })
	return g.Wait()
}

// WorkerGone notes that an upstream refuses connections. It gets no requests until a check
// succeeds. Other routers notice for themselves. An id that isn't in the list goes to the shared
// Directory.
func (u *Upstreams) WorkerGone(id string) {
	u.mu.Lock()
	b := u.byID[id]
	if b == nil {
		u.mu.Unlock()
		u.store.WorkerGone(id)
		return
	}
	b.health.refused()
	u.publishLocked()
	u.mu.Unlock()
	b.lookAgain()
}

func (b *Upstream) lookAgain() {
	select {
	case b.look <- struct{}{}:
	default:
	}
}

// eject ejects b if at least half of the listed upstreams remain: if more fail, the cause is
// elsewhere.
func (u *Upstreams) eject(b *Upstream) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now, listed, out := time.Now(), 0, 1
	for _, other := range u.byID {
		if !other.listed {
			continue
		}
		listed++
		if other != b && (other.health.down || !other.health.known || other.health.sick(now)) {
			out++
		}
	}
	b.broken.Store(maxBroken - 1) // the next failure after its term is one too many
	if now.Before(b.health.out) || 2*out > listed {
		return
	}
	b.health.eject(now)
	u.metrics.ejections.Inc()
	u.cfg.Log.Warn("upstream ejected: its requests get no answer", "upstream", b.id, "for_ms", b.health.term.Milliseconds())
	u.publishLocked()
}

// follow resolves the name of an entry until ctx ends. While that fails, the last addresses stay.
func (u *Upstreams) follow(ctx context.Context, entry int) error {
	l, failing := u.entries[entry], false
	for ctx.Err() == nil {
		looking, cancel := context.WithTimeout(ctx, lookupTimeout)
		found, err := u.cfg.Resolver.LookupNetIP(looking, "ip", l.host)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil || len(found) == 0:
			if !failing {
				u.cfg.Log.Warn("upstream's name doesn't resolve", "upstream", l.String(), "error", err)
			}
			failing = true
		default:
			failing = false
			u.list(entry, found)
		}
		netio.Pause(ctx, u.cfg.Interval)
	}
	return nil
}

// list takes the present addresses of an entry.
func (u *Upstreams) list(entry int, found []netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.found[entry] = slices.Clone(found)
	for _, b := range u.byID {
		b.listed = false
	}
	slot := 0
	for i, l := range u.entries {
		slices.SortFunc(u.found[i], netip.Addr.Compare)
		for _, a := range u.found[i] {
			b := u.byID[l.id(a)]
			if b == nil {
				b = u.newUpstream(l, a)
				u.byID[b.id] = b
				u.watch(b)
			}
			if b.listed {
				continue // an entry before this one has it
			}
			slot++
			b.listed, b.slot = true, slot
		}
	}
	u.publishLocked()
}

// keepChecking checks b until ctx ends.
func (u *Upstreams) keepChecking(ctx context.Context, b *Upstream) error {
	for {
		v := u.check(ctx, b)
		if ctx.Err() != nil {
			return nil
		}
		next := time.NewTimer(u.checked(b, v))
		select {
		case <-next.C:
		case <-b.look:
		case <-ctx.Done():
		}
		next.Stop()
	}
}

func (u *Upstreams) checked(b *Upstream, v verdict) time.Duration {
	u.metrics.checks[v].Inc()
	u.mu.Lock()
	defer u.mu.Unlock()
	before, _ := b.health.state(b.listed, time.Now())
	next := b.health.checked(v, u.cfg.Interval)
	if after, _ := b.health.state(b.listed, time.Now()); after != before {
		u.publishLocked()
	}
	return next
}

// count updates the table every second until ctx ends: the numbers of clients, ejections that are
// over, and upstreams that aren't listed any more and have no sessions left.
func (u *Upstreams) count(ctx context.Context) error {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if u.own != nil && n%int(sweepEvery/countEvery) == 0 {
			u.own.cache.expire(u.own.now())
		}
		u.countOnce()
	}
}

func (u *Upstreams) countOnce() {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := 0
	for id, b := range u.byID {
		b.beat++
		b.clients = b.sessions.Count()
		all += b.clients
		if !b.listed && (b.clients == 0 || b.health.down) {
			b.forget()
			delete(u.byID, id)
			u.cfg.Log.Info("upstream forgotten: it's no longer listed", "upstream", id)
		}
	}
	u.metrics.sessions.Set(float64(all))
	u.publishLocked()
}

// publishLocked puts the present state of every upstream into the table. If none is ready, it shows
// sick ones as ready: the checks may be wrong.
func (u *Upstreams) publishLocked() {
	now, ready := time.Now(), false
	var sick []int
	workers := make([]Worker, 0, len(u.byID))
	for _, b := range u.byID {
		s, shown := b.health.state(b.listed, now)
		u.tellLocked(b, s)
		if !shown {
			continue
		}
		ready = ready || s == StateReady
		if s == StateSick {
			sick = append(sick, len(workers))
		}
		workers = append(workers, Worker{
			ID: b.id, Slot: b.slot, Host: b.host, Addr: b.addr, State: s, Clients: b.clients, Path: u.cfg.Path, Beat: b.beat, Upstream: b,
		})
	}
	if !ready {
		for _, i := range sick {
			workers[i].State = StateReady
		}
	}
	u.setUpstreams(workers)
}

func (u *Upstreams) tellLocked(b *Upstream, s State) {
	if s == b.told {
		return
	}
	log := u.cfg.Log.Info
	if s == StateSick || s == "" {
		log = u.cfg.Log.Warn
	}
	if b.told = s; s == "" {
		s = "down"
	}
	log("upstream changed", "upstream", b.id, "state", string(s))
}
