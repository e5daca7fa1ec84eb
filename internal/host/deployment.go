package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Options say how an app is deployed.
type Options struct {
	User        *supervisor.User      // who runs the app's services; nil for this process' user
	Sockets     *sockets.Sockets      // the app's first door, if it is open already
	CheckRights bool                  // try what the app's adapter needs of a Redis that is not embedded
	Metrics     prometheus.Registerer // of the app's cluster; nil registers nothing
}

// Notice is something that an operator may want to know about an app that opens.
type Notice struct {
	Warning bool
	Text    string
}

// Deployment is an app on a host: its folder for sockets, its Redis, its node host, its doors and
// routers, its processes.
type Deployment struct {
	host *Host
	app  App // without processes
	opts Options

	quiet     atomic.Bool // the services log what Redis does: the host's own connection needn't
	following sync.WaitGroup

	mu    sync.Mutex // guards what follows
	state State
	port  int
	dir   *supervisor.RuntimeDir // nil until it is made
	api   *net.TCPListener       // of the HTTP API; nil for none
	key   keyUse                 // of the HTTP API
	redis *config.Redis          // the embedded one; nil if the app has its own, or none
	local netip.Addr             // from where this host reaches Redis
	slots map[string]int         // of the processes, by place
	asked map[string]string      // the first address that each process wanted to be served at, by place

	staffed bool // it has got its first processes

	cluster *cluster.Cluster   // nil until it is open
	peers   *inspect.Peers     // asks other hosts; nil without a Redis that they reach
	stop    context.CancelFunc // ends following the cluster
}

// State is what there is to know about an app at a moment. Nobody may change it.
type State struct {
	Doors     []Door
	Advertise string   // how other hosts reach the first door; empty while there is none
	Problems  []string // what keeps clients from reaching the app
	Warnings  []string // what keeps them from reaching it at one of its addresses
	Gone      bool     // the app is being removed
}

// Deploy puts an app on the host. The app has nothing yet: see Open. app.Processes must be empty:
// see Add.
func (h *Host) Deploy(app App, o Options) *Deployment {
	d := &Deployment{host: h, app: app, opts: o, port: app.Port, slots: map[string]int{}, asked: map[string]string{}, stop: func() {}}
	d.quiet.Store(h.cfg.Supervisor.Lasting)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.apps = append(h.apps, d)
	return d
}

// State returns what there is to know about the app now.
func (d *Deployment) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state
}

// Cluster is the app's cluster; nil until the app has one.
func (d *Deployment) Cluster() *cluster.Cluster {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cluster
}

// change calls f with the lock held.
func (d *Deployment) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// Open makes what the processes of the app need around them: a folder for sockets, a Redis, a node
// host, and a door if the app certainly needs one. It waits for Redis until ctx ends. notify may be
// nil. The caller removes an app that didn't open.
func (d *Deployment) Open(ctx context.Context, notify func(Notice)) error {
	if notify == nil {
		notify = func(Notice) {}
	}
	if d.app.SharedNodeHost {
		dir, err := d.host.joinNodeHost()
		d.change(func() { d.dir = dir })
		return err
	}
	dir, err := supervisor.NewRuntimeDir(d.host.cfg.runtimeParent(d.opts.User), node.Preload, node.Adapter, node.UsageScript, lifeline.ClientFiles)
	if err != nil {
		return err
	}
	d.change(func() { d.dir = dir })
	if files := d.host.cfg.Client; files != nil && d.app.Kind == Worker {
		if err := lifeline.WriteClient(dir.Path, files); err != nil {
			return fmt.Errorf("%s: files of the client: %w", d.app.Name, err)
		}
	}
	if u := d.opts.User; u != nil { // unix sockets are for one user
		if err := os.Lchown(dir.Path, int(u.UID), int(u.GID)); err != nil {
			return fmt.Errorf("%s: folder for sockets: %w", d.app.Name, err)
		}
	}
	if d.app.Kind.Routed() {
		if err := d.connect(ctx, notify); err != nil {
			return err
		}
	}
	if d.app.Kind.NodeHosted() {
		if err := d.host.Processes.Add(d.planned()[d.app.NodeHostPlace()]); err != nil {
			return err
		}
	}
	if err := d.openAPI(ctx, notify); err != nil {
		return err
	}
	if d.app.Kind == Worker { // it will need a door
		return d.openDoor(ctx, d.addr())
	}
	return nil
}

// connect finds the app's Redis and waits for it.
func (d *Deployment) connect(ctx context.Context, notify func(Notice)) error {
	set := d.app.Settings.Redis
	embedded := set.RedisURL == ""
	if embedded {
		redis, err := d.host.embed(ctx, d.app.Name)
		if err != nil {
			return err
		}
		set = *redis
		d.change(func() { d.redis = redis })
		if d.app.Kind != Program { // a program may never serve anybody
			notify(Notice{Text: "no SIDEREAL_REDIS_URL: an embedded Redis serves this host only"})
		}
	}
	c, err := cluster.Open(ctx, cluster.Config{
		Redis: set, App: d.app.Settings.App.App, SIDTTL: d.app.Settings.SIDTTL, Log: slog.New(muted{d.host.cfg.Log.Handler(), &d.quiet}), Metrics: d.opts.Metrics,
	})
	if err != nil {
		return d.named(err)
	}
	d.change(func() {
		if d.cluster = c; !embedded {
			d.peers = inspect.NewPeers(inspect.PeersConfig{Conn: c.Conn, App: d.app.Settings.App.App, Local: d.host.Inspect.App(d.app.Settings.App.App)})
		}
	})
	local, err := d.reach(ctx, c, embedded, notify)
	if err != nil {
		return d.named(err)
	}
	d.change(func() { d.local = local })
	if !embedded && d.host.cfg.Supervisor.Lasting {
		notify(Notice{Text: "Redis at " + c.Conn.String() + d.sharers(ctx, c)})
	}
	return nil
}

// reach waits for Redis and returns the address from where this host reaches it. A host that ends
// with its services doesn't wait for its own Redis: the workers do.
func (d *Deployment) reach(ctx context.Context, c *cluster.Cluster, embedded bool, notify func(Notice)) (netip.Addr, error) {
	if embedded && !d.host.cfg.Supervisor.Lasting {
		d.follow(ctx, c)
		return c.Conn.LocalIP(ctx)
	}
	local, err := c.Reach(ctx, func() { d.follow(ctx, c) }, func(why error) {
		reason := strings.TrimPrefix(why.Error(), redisconn.ErrUnreachable.Error()+": ")
		notify(Notice{Warning: true, Text: fmt.Sprintf("waiting for Redis at %s: %s", c.Conn, reason)})
	})
	if err == nil && d.opts.CheckRights && d.app.Settings.Adapter != adapterenv.Memory {
		err = adapterenv.Check(ctx, d.app.Settings.Cluster, d.app.Settings.Redis, c.Conn)
	}
	return local, err
}

// follow runs the cluster until Close. It outlives the command that opened the app.
func (d *Deployment) follow(ctx context.Context, c *cluster.Cluster) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	var peers *inspect.Peers
	d.change(func() { d.stop, peers = stop, d.peers })
	if peers != nil {
		d.following.Go(func() {
			if err := peers.Run(ctx); err != nil {
				d.host.cfg.Log.Error("the host no longer answers other hosts", "app", d.app.Name, "error", err)
			}
		})
	}
	d.following.Go(func() {
		if err := c.Run(ctx); err != nil {
			d.host.cfg.Log.Error("the host no longer follows the app's Redis", "app", d.app.Name, "error", err)
		}
	})
}

// sharers names the other hosts that have the app, for a line about Redis.
func (d *Deployment) sharers(ctx context.Context, c *cluster.Cluster) string {
	hosts, ok := c.Others(ctx, d.app.Settings.HostName)
	switch {
	case !ok:
		return ""
	case len(hosts) == 0:
		return ", no other host has this app yet"
	}
	return ", shared with " + strings.Join(hosts, ", ")
}

// named puts the app's name before an error, if the host has several apps.
func (d *Deployment) named(err error) error {
	if err == nil || d.app.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", d.app.Name, err)
}

// planned are the app's services.
func (d *Deployment) planned() map[string]supervisor.Spec {
	specs, _ := d.Specs(nil) // there is a folder
	return specs
}

// Specs plans the app with all its processes, by place. The error is supervisor.ErrNoPlace while
// the app isn't open.
func (d *Deployment) Specs(processes []Process) (map[string]supervisor.Spec, error) {
	facts, app := d.host.facts, d.app
	d.mu.Lock()
	if d.dir == nil {
		d.mu.Unlock()
		return nil, supervisor.ErrNoPlace
	}
	facts.Dir, facts.User, facts.Redis, facts.Doors, facts.Advertise = d.dir.Path, d.opts.User, d.redis, d.state.Doors, d.state.Advertise
	facts.API, facts.Injected = d.api, d.key.injected
	if facts.Advertise == "" && app.Kind.NodeHosted() && app.Kind.Routed() {
		facts.Advertise = d.guessLocked()
	}
	d.mu.Unlock()
	app.Processes = processes
	specs := map[string]supervisor.Spec{}
	for _, s := range Plan(app, facts) {
		specs[s.Name] = s
	}
	return specs, nil
}

// guessLocked is how other hosts will reach the app once its door is open. A node host is told if
// it turns out otherwise.
func (d *Deployment) guessLocked() string {
	if !d.local.IsValid() { // without a Redis nobody is told
		return ""
	}
	advertise, err := config.Door{Advertise: d.app.Settings.Advertise}.Advertised(d.addrLocked(), d.local)
	if err != nil {
		return ""
	}
	return advertise
}

// Add adds processes that Specs has planned. Slots are their numbers by place.
func (d *Deployment) Add(specs []supervisor.Spec, slots map[string]int) error {
	h := d.host
	h.mu.Lock()
	for _, s := range specs {
		h.places[s.Name] = d
	}
	h.mu.Unlock()
	d.change(func() { maps.Copy(d.slots, slots) })
	defer d.change(func() { d.staffed = true })
	err := h.Processes.Add(specs...)
	if err != nil {
		d.forget(slices.Collect(maps.Keys(slots)))
	}
	return err
}

// Drop stops processes and removes their places. It doesn't wait for ctx.
func (d *Deployment) Drop(places []string) error {
	err := d.remove(places)
	if err == nil {
		d.forget(places)
	}
	return err
}

func (d *Deployment) forget(places []string) {
	d.change(func() {
		for _, name := range places {
			delete(d.slots, name)
			delete(d.asked, name)
		}
	})
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	for _, name := range places {
		delete(d.host.places, name)
	}
}

// remove stops places that there are. A stop has a time limit, so nothing interrupts it.
func (d *Deployment) remove(names []string) error {
	st := d.host.Statuses()
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := st[name]; return !ok })
	err := d.host.Processes.Remove(context.Background(), names...)
	if errors.Is(err, supervisor.ErrNoPlace) { // another command was faster
		err = nil
	}
	return err
}

// Remove stops the processes and services of the app, and closes it. If the host is stopping, it
// stops them, and the caller calls Close afterwards.
func (d *Deployment) Remove() error {
	d.host.opening.Lock() // a port that opens now has its router by then
	d.change(func() { d.state.Gone = true })
	places := slices.Collect(maps.Keys(d.slots))
	d.host.opening.Unlock()
	if err := d.remove(append(places, d.Services()...)); err != nil {
		return err
	}
	d.forget(places)
	if err := d.Close(); err != nil {
		d.host.cfg.Log.Warn("app closed", "app", d.app.Name, "error", err)
	}
	return nil
}

// Close gives back what the app had beside its processes, which must have ended. It may be called
// again.
func (d *Deployment) Close() error {
	var dir *supervisor.RuntimeDir
	var c *cluster.Cluster
	var stop context.CancelFunc
	d.change(func() {
		d.state.Gone = true
		dir, c, stop = d.dir, d.cluster, d.stop
		if d.redis != nil {
			d.host.redis.apps.Add(-1)
		}
		d.dir, d.cluster, d.redis, d.peers = nil, nil, nil, nil
	})
	d.host.mu.Lock()
	d.host.apps = slices.DeleteFunc(d.host.apps, func(other *Deployment) bool { return other == d })
	d.host.mu.Unlock()
	stop()
	d.following.Wait()
	var errs []error
	if c != nil {
		errs = append(errs, c.Close())
	}
	switch {
	case dir == nil: // it never opened, or is closed already
	case d.app.SharedNodeHost:
		errs = append(errs, d.host.leaveNodeHost())
	default:
		errs = append(errs, dir.Close())
	}
	return errors.Join(errs...)
}

// muted drops what a connection to Redis logs while quiet holds.
type muted struct {
	slog.Handler
	quiet *atomic.Bool
}

func (m muted) Enabled(ctx context.Context, level slog.Level) bool {
	return !m.quiet.Load() && m.Handler.Enabled(ctx, level)
}

func (m muted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return muted{m.Handler.WithAttrs(attrs), m.quiet}
}

func (m muted) WithGroup(name string) slog.Handler {
	return muted{m.Handler.WithGroup(name), m.quiet}
}

// removeDir removes the folder for sockets of a host that ends on the spot.
func (d *Deployment) removeDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dir == nil {
		return nil
	}
	return os.RemoveAll(d.dir.Path)
}
