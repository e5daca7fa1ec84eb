package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/dashboard"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
)

// RunConfig says what a host of one app is made from.
type RunConfig struct {
	Settings  config.Up
	Variables *config.Settings // Settings by variable

	Program []string // the command line of this program
	Environ []string // of this process
	Version string
	Client  fs.FS // the browser client, for workers that have none; nil: none

	Command []string // what each worker runs
	Own     bool     // Command is this program: its exit code 2 means that a setting is wrong

	Kill    <-chan struct{}   // ends all processes at once
	Reload  <-chan os.Signal  // replaces the workers one by one
	Hangups *lifeline.Hangups // reload certificates
	Exit    func()            // ends this process, if Kill takes longer than a second

	Plug func(*Operated) Plug // harms the host, for visitors over loopback; nil: none

	Stderr io.Writer // the lines of all processes
	Color  bool      // Stderr is a terminal that shows colors
	Stdout io.Writer // what a person at a terminal can try
	Log    *slog.Logger
}

// Run runs a host of one app until ctx ends and its processes have stopped. It needs no folder but
// one for sockets. The error is a *supervisor.ExitError if a process ended that a restart would not
// help.
func Run(ctx context.Context, cfg RunConfig) error {
	set := &cfg.Settings
	if err := set.Cluster.Suits(cfg.workers(), set.Redis); err != nil {
		return err
	}
	r := &run{cfg: cfg, set: set, log: cfg.Log, started: time.Now(), metrics: admin.Registry(), manager: systemd.OpenNotifier()}
	var err error
	if r.sockets, err = sockets.Open(ctx, set.Door, set.TLS, set.Redirect); err != nil {
		return err
	}
	defer r.sockets.Close()
	if r.admin = r.sockets.Admin; r.admin == nil {
		chosen := cfg.Variables.Get("SIDEREAL_ADMIN_ADDR").Set()
		if r.admin, err = sockets.ListenAdmin(ctx, set.AdminAddr, chosen, r.log); err != nil {
			return err
		}
	}
	if r.host, err = New(cfg.host(r.metrics)); err != nil {
		return err
	}
	if cfg.Plug != nil && r.admin != nil {
		r.plug = cfg.Plug(&Operated{r: r})
	}
	r.app = r.host.Deploy(cfg.app(), Options{Sockets: &r.sockets, CheckRights: true, Metrics: r.metrics})
	return r.run(ctx)
}

// workers is how many workers the host has.
func (c *RunConfig) workers() int { return config.Count(c.Settings.Instances, supervisor.Cores()) }

// host describes the host.
func (c *RunConfig) host(metrics prometheus.Registerer) Config {
	set := &c.Settings
	h := Config{
		Program: c.Program, Environ: c.Environ, Liveness: set.Liveness, ServiceLog: set.Log, Log: c.Log, Client: c.Client,
		Supervisor: supervisor.Config{
			StopTimeout: set.DrainDelay + set.ShutdownTimeout + time.Second, // each process cuts off by itself what is left
			Output:      c.Stderr, Prefix: set.Format == "console", Color: c.Color, Host: config.HostName(set.HostName), Metrics: metrics,
		},
	}
	if c.Color {
		h.Environ = append(slices.Clone(h.Environ), "FORCE_COLOR=1")
	}
	return h
}

// app describes the app, without its workers.
func (c *RunConfig) app() App {
	set := &c.Settings
	a := App{Kind: Worker, Variables: c.Variables.Environ(), Settings: Settings{
		Redis: set.Redis, App: set.App, Routing: set.Routing, Upstreams: set.Upstreams, TLS: set.TLS, Redirect: set.Redirect,
		Cluster: set.Cluster, Stopping: set.Stopping, Liveness: set.Liveness, API: set.API, Addr: set.Addr, Advertise: set.Advertise,
	}}
	a.Settings.ReadyURL = "" // a worker says by itself when it is ready
	return a
}

// processes describes the workers.
func (c *RunConfig) processes() (all []Process) {
	for i := range c.workers() {
		all = append(all, c.process(i+1))
	}
	return all
}

// process describes a worker. Slots begin with 1.
func (c *RunConfig) process(slot int) Process {
	p := Process{Slot: slot}
	p.Name, p.Command, p.Environ = workerName(slot), c.Command, Inherited(c.Environ, c.Variables)
	p.Env = []string{fmt.Sprintf("NODE_APP_INSTANCE=%d", slot-1), fmt.Sprintf("WORKER_ID=%d", slot-1)}
	if c.Color {
		p.Env = append(p.Env, "FORCE_COLOR=1")
	}
	if c.Own { // another program may mean anything by 2: Go's panics end with it
		p.FatalCode = fatalCode
	}
	return p
}

// run is a host of one app, with the operator's port to it.
type run struct {
	cfg     RunConfig
	set     *config.Up
	log     *slog.Logger
	started time.Time
	metrics *prometheus.Registry
	manager systemd.Notifier
	sockets sockets.Sockets
	admin   net.Listener // nil if it is off
	host    *Host
	app     *Deployment
	plug    Plug        // nil: none
	opened  atomic.Bool // the app is open, and has its workers
}

// run runs the processes until ctx ends, or until the app can't be opened.
func (r *run) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // operators look on to the last
	defer stop()
	var parts errgroup.Group
	page, err := dashboard.New(dashboard.Config{
		Host: r.host.Name(), App: r.set.App.App, Version: r.cfg.Version, Source: r.host.Everywhere(), Actor: r.host.Actions(r.steer), Key: r.set.AdminKey, Log: r.log,
	})
	if err != nil {
		return err
	}
	parts.Go(func() error { return page.Run(serving) })
	parts.Go(func() error { return r.serveAdmin(serving, page) })
	if r.plug != nil {
		parts.Go(func() error { return r.plug.Run(ctx) })
	}
	parts.Go(func() error {
		r.obey(serving)
		return nil
	})
	parts.Go(func() error {
		r.cfg.Hangups.Follow(serving, r.host.ReloadCertificates)
		return nil
	})
	parts.Go(func() error {
		err := r.openApp(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		cancel()
		return err
	})
	defer context.AfterFunc(ctx, func() {
		if r.opened.Load() {
			r.notify(systemd.Stopping)
		}
	})()
	err = r.host.Run(ctx)
	cancel()
	stop()
	return errors.Join(err, parts.Wait(), r.app.Close())
}

// openApp opens the app, starts its workers, and says so once all are ready.
func (r *run) openApp(ctx context.Context) error {
	if r.set.RedisURL == "" {
		r.log.Info("no SIDEREAL_REDIS_URL: an embedded Redis serves this host alone; for several hosts set SIDEREAL_REDIS_URL=redis://host:6379")
	}
	if err := r.app.Open(ctx, nil); err != nil {
		return err
	}
	processes := r.cfg.processes()
	plan, err := r.app.Specs(processes)
	if err != nil {
		return err
	}
	var specs []supervisor.Spec
	slots := map[string]int{}
	for _, p := range processes {
		specs = append(specs, plan[p.Name])
		slots[p.Name] = p.Slot
	}
	r.app.quiet.Store(true)
	if err := r.app.Add(specs, slots); err != nil {
		return err
	}
	r.opened.Store(true)
	r.announce(ctx, len(specs))
	return nil
}

// lastWord is how long a host that is killed may take to end its processes.
const lastWord = time.Second

// obey does what signals ask for, until ctx ends.
func (r *run) obey(ctx context.Context) {
	for {
		select {
		case <-r.cfg.Reload:
			r.host.Processes.Reload(OnlyGroup)
		case <-r.cfg.Kill:
			// If nobody reads what we log, even this hangs, or the last line after Run. The process
			// ends on the spot then, and its children with it.
			time.AfterFunc(lastWord, func() {
				_ = r.app.removeDir()
				r.cfg.Exit()
			})
			r.host.Processes.Kill()
			<-ctx.Done()
			return
		case <-ctx.Done():
			return
		}
	}
}

// announce says that the host is up, once all its processes are ready, and on a terminal what to do
// with it.
func (r *run) announce(ctx context.Context, workers int) {
	allReady := func(st []supervisor.Status) bool {
		return !slices.ContainsFunc(st, func(p supervisor.Status) bool { return p.State != supervisor.Ready })
	}
	if r.host.Processes.Wait(ctx, allReady) != nil || r.awaitReady(ctx) != nil {
		return
	}
	r.notify(systemd.Ready)
	open := r.open()
	recovery := "off"
	if r.set.Recovery > 0 {
		recovery = r.set.Recovery.String()
	}
	fields := []any{"host", r.set.HostName, "open", open, "workers", workers, "adapter", cmp.Or(r.set.Adapter, adapterenv.Classic), "recovery", recovery}
	if r.admin != nil {
		fields = append(fields, "admin", r.admin.Addr().String())
	}
	r.log.Info("host ready", fields...)
	if r.set.Format == "console" {
		fmt.Fprint(r.cfg.Stdout, r.banner(open, workers))
	}
}

// readyEvery is how often the router is asked whether it has heard of its workers. That takes
// milliseconds.
const readyEvery = 20 * time.Millisecond

// awaitReady waits until the router would serve a client.
func (r *run) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for r.ready(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// banner is what a person at a terminal may try.
func (r *run) banner(open string, workers int) string {
	text := fmt.Sprintf(`
  %s is up: %d workers behind one door.

    open   %s   in two browser windows, and chat across workers
    try    kill -9 a worker: its people reconnect, the others see nothing
           kill -USR2 %d   replaces the workers one by one
`, r.set.HostName, workers, open, os.Getpid())
	if r.admin != nil {
		text += fmt.Sprintf("    admin  http://%s\n", r.admin.Addr())
	}
	if r.plug != nil {
		text += fmt.Sprintf("    break  http://%s/plug/   kill and freeze its processes, and count what is lost\n", r.admin.Addr())
	}
	return text + "\n  Ctrl-C drains and stops it all.\n\n"
}

// open is the URL that a browser on this host opens.
func (r *run) open() string {
	if r.set.TLSCert != "" {
		return "https://" + reachable(r.sockets.Addr())
	}
	return "http://" + reachable(r.sockets.Addr())
}

// reachable is a listening address as a browser on this host takes it.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}

// notify tells systemd how the host does.
func (r *run) notify(state string) {
	if err := r.manager.Say(state); err != nil {
		r.log.Warn("the service manager can't be notified", "error", err)
	}
}

// serveAdmin serves the host's admin port until ctx ends.
func (r *run) serveAdmin(ctx context.Context, page http.Handler) error {
	if r.admin == nil {
		return nil
	}
	return admin.New(admin.Config{
		Ready: r.ready, Status: r.status, Trace: r.trace, Cluster: r.overview, Page: page, Plug: r.plug,
		Gatherer: admin.AggregateSockets(r.metrics, r.host.AdminSockets), Inspect: inspect.NewHandler(r.host.Everywhere(), r.host.Inspect),
	}).Run(ctx, r.admin)
}

var errWaiting = errors.New("waiting for Redis")

// ready is the router's answer, once there is a router: it listens, and knows a worker that is
// ready.
func (r *run) ready(ctx context.Context) error {
	router := r.app.Router()
	if router == nil || !r.opened.Load() {
		return errWaiting
	}
	if st := r.host.Statuses()[r.app.app.RouterPlace()]; st.State != supervisor.Ready {
		return fmt.Errorf("the router is %s", st.State)
	}
	err := router.Ready(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the router does not answer")
	}
	return err
}

// overview has the router answer if upstreams are listed, since only the router knows them.
func (r *run) overview(ctx context.Context) (any, error) {
	c := r.app.Cluster()
	router := r.app.Router()
	switch {
	case c == nil || router == nil:
		return nil, errWaiting
	case r.set.Upstreams.List == "":
		return cluster.OverviewOf(r.set.App.App, c.Directory.Workers()), nil
	}
	o := new(cluster.Overview)
	return o, router.Cluster(ctx, o)
}

// trace has the router answer.
func (r *run) trace(ctx context.Context, sid string) (any, error) {
	router := r.app.Router()
	if router == nil {
		return nil, errWaiting
	}
	var t json.RawMessage
	err := router.Trace(ctx, sid, &t)
	return t, err
}

func (r *run) status(ctx context.Context) admin.Status {
	st := admin.Status{
		Role: "up", Host: r.set.HostName, Version: r.cfg.Version, Started: r.started, App: r.set.App.App,
		Addr: r.sockets.Addr().String(), Advertise: r.app.State().Advertise, Redis: config.Hidden(r.set.RedisURL),
	}
	if c := r.app.Cluster(); c != nil {
		st.Redis, st.Workers = c.Conn.String(), cluster.Shown(c.Directory.Workers())
		st.Problems = cluster.Disagreements(c.Directory.Workers().All(), r.set.HostName, r.set.Path)
		if !c.Conn.Up() {
			st.Problems = append(st.Problems, "Redis does not answer")
		}
	}
	if r.set.RedisURL == "" {
		st.Redis = "embedded"
	}
	if router := r.app.Router(); router != nil && r.set.Upstreams.List != "" {
		if of, err := router.Status(ctx); err == nil {
			st.Workers = of.Workers
		}
	}
	for _, p := range r.host.Processes.Status() {
		st.Processes = append(st.Processes, admin.Process{Name: p.Name, State: string(p.State), PID: p.PID,
			Worker: p.Attrs[lifeline.Worker], Started: p.Started, Restarts: p.Restarts})
	}
	return st
}
