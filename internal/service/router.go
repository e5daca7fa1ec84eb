package service

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/rebalance"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
	"github.com/sidereal-io/sidereal/router"
)

// RouterConfig says what a router is made from.
type RouterConfig struct {
	Process
	Settings config.Router
}

// Router runs a router until ctx ends, and drains it then.
func Router(ctx context.Context, cfg RouterConfig) error {
	set := &cfg.Settings
	if set.RedisURL == "" && set.Upstreams.List == "" {
		return &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must be set, or SIDEREAL_UPSTREAMS: a router finds the workers in Redis, or is given a list of servers"}
	}
	p := &routerProcess{process: newProcess(cfg.Process), set: set, decisions: inspect.NewDecisionLog()}
	return p.run(ctx)
}

// routerProcess is a router with everything around it.
type routerProcess struct {
	process
	set *config.Router

	addr     string               // where it listens
	admin    net.Listener         // from systemd; nil for none
	line     *lifeline.Line       // nil without a supervisor
	cluster  *cluster.Cluster     // nil without a Redis
	upstream *directory.Upstreams // nil if none are listed
	peers    *inspect.Peers       // nil without a Redis, or if a supervisor asks
	certs    *router.Certificates // nil without TLS

	decisions *inspect.DecisionLog

	router atomic.Pointer[router.Router] // nil until Redis has been reached
}

// OpenCertificates reads the files that SIDEREAL_TLS_CERT names; nil if it names none.
func OpenCertificates(set config.TLS) (*router.Certificates, error) {
	files, err := set.Pairs()
	if err != nil || files == nil {
		return nil, err
	}
	var pairs []router.KeyPair
	for _, f := range files {
		pairs = append(pairs, router.KeyPair{Cert: f[0], Key: f[1]})
	}
	c, err := router.OpenCertificates(pairs...)
	if err != nil {
		return nil, &config.ValueError{Variable: "SIDEREAL_TLS_CERT", Value: set.TLSCert, Rule: "must be certificates with their keys: " + err.Error()}
	}
	return c, nil
}

// run serves until ctx ends, then drains. The parts outlive ctx, since a router that drains still
// looks sessions up and says goodbye in Redis.
func (p *routerProcess) run(ctx context.Context) (err error) {
	if p.certs, err = OpenCertificates(p.set.TLS); err != nil {
		return err
	}
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts := new(errgroup.Group)
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
		if p.cluster != nil {
			err = errors.Join(err, p.cluster.Close())
		}
	}()
	if p.line, err = lifeline.Open(p.set.SupervisorFD); err != nil {
		return err
	}
	manager := systemd.OpenNotifier()
	listeners, err := p.listen(ctx)
	if err != nil {
		return err
	}
	if p.set.RedisURL != "" {
		p.cluster, err = cluster.Open(ctx, cluster.Config{
			Redis: p.set.Redis, App: p.set.App.App, SIDTTL: p.set.SIDTTL, Log: p.log, Metrics: p.counts,
		})
		if err != nil {
			return err
		}
	}
	added := newAddedListeners()
	follow(hard, parts, p.line, func(t lifeline.Told) { p.told(t, added) })
	parts.Go(func() error { return releaseMemory(hard) })
	if p.upstream, err = openUpstreams(p.set.Upstreams, p.set.Path, p.directory(), p.log, p.metrics); err != nil {
		return err
	}
	publish, err := p.startAdmin(ctx, hard, parts)
	if err != nil {
		return err
	}
	r, err := p.join(ctx, hard, parts)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	p.router.Store(r)
	hangups := lifeline.NotifyHangups()
	parts.Go(func() error {
		hangups.Follow(hard, r.ReloadCertificates)
		return nil
	})
	if err := publish(); err != nil {
		return err
	}
	report(p.line, lifeline.Ready)
	defer context.AfterFunc(ctx, func() { p.notify(manager, systemd.Stopping) })()
	p.notify(manager, systemd.Ready)
	return r.Serve(ctx, append(listeners, added)...)
}

// told takes a line of the supervisor: a listener to serve, or a worker that gives no sign of life.
func (p *routerProcess) told(t lifeline.Told, added *addedListeners) {
	if dir := p.directory(); dir != nil && (t.Key == lifeline.Silent || t.Key == lifeline.Heard) {
		dir.MarkSilent(t.Value, t.Key == lifeline.Silent)
	}
	added.told(t)
}

// directory is the app's in Redis; nil without a Redis.
func (p *routerProcess) directory() *directory.Directory {
	if p.cluster == nil {
		return nil
	}
	return p.cluster.Directory
}

// listen takes over the sockets that the supervisor or systemd holds, or opens those that the
// settings name.
func (p *routerProcess) listen(ctx context.Context) (listeners []net.Listener, err error) {
	redirect := p.set.ListenRedirect
	if len(p.set.ListenFDs) > 0 {
		if listeners, err = supervisor.Inherited(p.set.ListenFDs); err != nil {
			return nil, err
		}
	} else {
		s, err := sockets.Open(ctx, p.set.Door, p.set.TLS, p.set.Redirect)
		if err != nil {
			return nil, err
		}
		p.admin = s.Admin
		var all []*net.TCPListener
		all, redirect = s.All()
		for _, l := range all {
			listeners = append(listeners, l)
		}
	}
	p.addr = listeners[0].Addr().String()
	for i, l := range listeners {
		listeners[i] = tellingListener{netio.Accepting(l), func() { report(p.line, lifeline.Draining) }}
		if i+1 == redirect {
			listeners[i] = router.Redirecting(listeners[i])
		}
	}
	return listeners, nil
}

// join registers the router in the cluster, if there is one, and makes the router.
func (p *routerProcess) join(ctx, hard context.Context, parts *errgroup.Group) (*router.Router, error) {
	advertise := ""
	if p.cluster != nil {
		var err error
		if advertise, err = p.register(ctx, hard, parts); err != nil {
			return nil, err
		}
	}
	if p.upstream != nil {
		parts.Go(func() error { return p.upstream.Run(hard) })
	}
	return router.New(p.routerConfig(p.members(), advertise))
}

// routerConfig is the settings as the router takes them.
func (p *routerProcess) routerConfig(dir router.Directory, advertise string) router.Config {
	set := p.set
	return router.Config{
		Directory: dir, RuntimeDir: set.RuntimeDir, HostName: set.HostName, AdvertiseAddr: advertise, Path: set.Path,
		Balance: set.Balance, BalanceSlack: orNone(set.BalanceSlack), TrustedProxies: set.TrustedProxies, ProxyProtocol: set.ProxyProtocol == "on",
		Certificates: p.certs, HTTP1Only: set.HTTP2 == "off", RedirectPort: p.redirectPort(),
		MaxHeadBytes: set.MaxHeadBytes, MaxBodyBytes: set.MaxBodyBytes, HeadTimeout: set.HeadTimeout, IdleTimeout: set.IdleTimeout,
		HandshakesInFlight: set.HandshakesInFlight, HandshakeRate: set.HandshakeRate, HandshakesPerAddress: set.HandshakesPerAddress,
		RequestsInFlight: set.RequestsInFlight, TLSHandshakeRate: set.TLSHandshakeRate, MaxConnections: set.MaxConnections,
		MaxSilent: set.MaxSilent, BodyTimeout: set.BodyTimeout, MinBodyRate: orNone(set.MinBodyRate),
		AllowedOrigins: set.AllowedOrigins,
		AccessLog:      set.AccessLog, DebugHeader: set.DebugHeader == "on" || set.Level == "debug",
		DrainDelay: set.DrainDelay, DrainRate: set.DrainRate, ShutdownTimeout: set.ShutdownTimeout,
		OnDecision: noted(p.decisions), Log: p.log, Metrics: p.counts,
	}
}

// orNone is a setting as the router takes it, for which zero is the default and less is none.
func orNone(set int) int {
	if set == 0 {
		return -1
	}
	return set
}

// register waits for Redis, and records there how other hosts reach this router.
func (p *routerProcess) register(ctx, hard context.Context, parts *errgroup.Group) (advertise string, err error) {
	c := p.cluster
	local, err := c.Reach(ctx, func() {
		parts.Go(func() error { return c.Run(hard) })
		if p.peers != nil {
			parts.Go(func() error { return p.peers.Run(hard) })
		}
	}, func(error) {})
	if err != nil {
		return "", err
	}
	if err := seenByOthers(p.set.Upstreams.List, local); err != nil {
		return "", err
	}
	if advertise, err = p.set.Door.Advertised(p.addr, local); err != nil {
		return "", err
	}
	reg, err := c.Directory.RegisterRouter(ctx, directory.Router{
		Host: p.set.HostName, Addr: advertise, State: directory.StateReady, Started: p.started, Version: p.version,
	}, func() int {
		if r := p.router.Load(); r != nil {
			return r.Connections()
		}
		return 0
	})
	if err != nil {
		return "", p.set.Redis.Problem(err)
	}
	parts.Go(func() error { return reg.Run(hard) })
	parts.Go(func() error { return c.LogDisagreements(hard, p.set.HostName, p.set.Path, p.log) })
	if p.set.Rebalance == "auto" {
		a, err := rebalance.NewAuto(rebalance.AutoConfig{
			Directory: c.Directory, App: p.set.App.App, Slack: float64(p.set.BalanceSlack) / 100, Log: p.log, Metrics: p.metrics,
		})
		if err != nil {
			return "", err
		}
		parts.Go(func() error { return a.Run(ctx) }) // a router that drains orders nothing more
	}
	context.AfterFunc(ctx, func() { reg.SetState(directory.StateDraining) })
	return advertise, c.Directory.Synced(ctx)
}

// members is who a router sends to, and why.
type members interface {
	router.Directory
	Trace(ctx context.Context, sid string) (directory.Trace, error)
}

// members are those of the directory, with upstreams.
func (p *routerProcess) members() members {
	if p.upstream != nil {
		return p.upstream
	}
	return p.cluster.Directory
}

// redirectPort is where clients reach the public door.
func (p *routerProcess) redirectPort() int {
	if p.set.RedirectPort != 0 {
		return p.set.RedirectPort
	}
	_, port, _ := net.SplitHostPort(p.addr)
	n, _ := strconv.Atoi(port) // an address of ours
	return n
}

func (p *routerProcess) notify(manager systemd.Notifier, state string) {
	if err := manager.Say(state); err != nil {
		p.log.Warn("the service manager doesn't answer", "error", err)
	}
}

// trace answers who owns a sid. A trace says by itself if Redis did not answer.
func (p *routerProcess) trace(ctx context.Context, sid string) (any, error) {
	t, _ := p.members().Trace(ctx, sid)
	return cluster.RouterTrace(t, p.set.App.App, p.set.HostName), nil
}

func (p *routerProcess) ready(context.Context) error {
	r := p.router.Load()
	if r == nil {
		return errors.New("waiting for Redis")
	}
	if ok, why := r.Ready(); !ok {
		return errors.New(why)
	}
	return nil
}

func (p *routerProcess) status(context.Context) admin.Status {
	redis := "none"
	if p.cluster != nil {
		redis = p.cluster.Conn.String()
	}
	return admin.Status{
		Role: "router", Host: p.set.HostName, Version: p.version, Started: p.started, Addr: p.addr,
		App: p.set.App.App, Redis: redis, Workers: cluster.Shown(p.members().Workers()),
		Problems: cluster.Disagreements(p.members().Workers().All(), p.set.HostName, p.set.Path),
	}
}

func (p *routerProcess) startAdmin(ctx, hard context.Context, parts *errgroup.Group) (publish func() error, err error) {
	at := adminPlace{runtimeDir: p.set.RuntimeDir, socket: p.socketName(), listener: p.admin, addr: p.set.AdminAddr}
	return p.serveAdmin(ctx, hard, parts, at, admin.Config{
		Ready: p.ready, Status: p.status, Gatherer: p.metrics, Trace: p.trace, Inspect: p.inspect(),
		Cluster: func(context.Context) (any, error) {
			return cluster.OverviewOf(p.set.App.App, p.members().Workers()), nil
		},
	})
}

// inspect returns the handler of operators' questions. A router without a supervisor also asks and
// answers the other processes of the app.
func (p *routerProcess) inspect() http.Handler {
	own := p.source()
	if p.set.RuntimeDir != "" || p.cluster == nil {
		return inspect.NewHandler(own, nil)
	}
	p.peers = inspect.NewPeers(inspect.PeersConfig{Conn: p.cluster.Conn, App: p.set.App.App, Local: own})
	return inspect.NewHandler(inspect.Join(func() []inspect.Source { return []inspect.Source{own, p.peers} }), own)
}

// source answers about this router.
func (p *routerProcess) source() inspect.Source {
	s := sampled(inspect.Process{Host: p.set.HostName, App: p.set.App.App, Name: p.socketName(), Role: "router", Started: p.started}, p.counts, func() *redisconn.Conn {
		if p.cluster == nil {
			return nil
		}
		return p.cluster.Conn
	})
	return &routerFacts{s, p.decisions}
}

// socketName is what the router's admin socket is called: a host may have one router for each port
// of an app.
func (p *routerProcess) socketName() string {
	if _, port, ok := strings.Cut(p.set.App.App, ":"); ok {
		return "router-" + port
	}
	return "router"
}

// tellingListener tells when it is closed: a supervisor lets the workers stop once their router
// takes nobody in.
type tellingListener struct {
	net.Listener
	closed func()
}

func (l tellingListener) Close() error {
	defer l.closed()
	return l.Listener.Close()
}
