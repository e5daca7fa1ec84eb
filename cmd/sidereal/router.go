package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
	"github.com/sidereal-io/sidereal/router"
)

func routerCommand() *cobra.Command {
	var set config.Router
	cmd := &cobra.Command{
		Use: "router", Short: "Run a router alone, before workers that share its Redis, or before a list of servers", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			if set.RedisURL == "" && set.Upstreams.List == "" {
				return &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must be set, or SIDEREAL_UPSTREAMS: a router finds the workers in Redis, or is given a list of servers"}
			}
			p := &routerProcess{set: set}
			if p.supervised() {
				p.log = childLogger(set.Log, "router")
			} else {
				p.log = logger(set.Log, settings)
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return p.run(ctx, settings)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}

// routerProcess is a router with what it needs around it.
type routerProcess struct {
	set    config.Router
	log    zerolog.Logger
	node   *node
	addr   string                        // that it listens on
	admin  net.Listener                  // nil: systemd gives none
	line   *lifeline.Line                // nil: no supervisor
	router atomic.Pointer[router.Router] // nil before Redis has been there

	silence atomic.Pointer[directory.Directory] // who is told of silent workers; nil: nobody yet

	certificates *router.Certificates // nil: no TLS
	upstreams    *directory.Upstreams // nil: none are listed
}

// openCertificates reads what SIDEREAL_TLS_CERT names; nil: nothing.
func openCertificates(set config.TLS) (*router.Certificates, error) {
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

func (p *routerProcess) supervised() bool { return p.set.RuntimeDir != "" }

// run serves until ctx ends, then drains.
func (p *routerProcess) run(ctx context.Context, settings *config.Settings) (err error) {
	if p.certificates, err = openCertificates(p.set.TLS); err != nil {
		return err
	}
	late := newLateDoors()
	told := func(t lifeline.Told) {
		if dir := p.silence.Load(); dir != nil && (t.Key == lifeline.Silent || t.Key == lifeline.Heard) {
			dir.MarkSilent(t.Value, t.Key == lifeline.Silent)
		}
		late.told(t)
	}
	if p.line, err = openLine(p.set.Child, told); err != nil {
		return err
	}
	manager := systemd.OpenNotifier()
	listeners, err := p.listen(ctx)
	if err != nil {
		return err
	}
	if p.node, err = openNode(p.set.Redis, p.set.App.App, p.set.SIDTTL, p.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.node.close()) }()
	p.silence.Store(p.node.dir)
	p.node.start(ebb)
	if p.upstreams, err = openUpstreams(p.set.Upstreams, p.set.Path, p.node.dir, p.log, p.node.metrics); err != nil {
		return err
	}
	publish, err := p.startAdmin(ctx, settings)
	if err != nil {
		return err
	}
	r, err := p.join(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	p.router.Store(r)
	lifeline.OnHangup(ctx, r.ReloadCertificates)
	if err := publish(); err != nil {
		return err
	}
	report(p.line, lifeline.Ready)
	defer context.AfterFunc(ctx, func() { p.notify(manager, systemd.Stopping) })()
	p.notify(manager, systemd.Ready)
	return r.Serve(ctx, append(listeners, late)...)
}

// listen opens SIDEREAL_ADDR and SIDEREAL_REDIRECT_ADDR, or takes over the sockets that the supervisor or systemd holds.
func (p *routerProcess) listen(ctx context.Context) (listeners []net.Listener, err error) {
	redirect := p.set.ListenRedirect
	if len(p.set.ListenFDs) > 0 {
		if listeners, err = supervisor.Inherited(p.set.ListenFDs); err != nil {
			return nil, err
		}
	} else {
		d, err := openDoors(ctx, p.set.Door, p.set.TLS, p.set.Redirect)
		if err != nil {
			return nil, err
		}
		for _, l := range d.all() {
			listeners = append(listeners, l)
		}
		if p.admin = d.admin; d.redirect != nil {
			redirect = len(listeners)
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

// join takes part in the cluster, if there is one, and makes the router.
func (p *routerProcess) join(ctx context.Context) (*router.Router, error) {
	advertise := ""
	if p.node.conn != nil {
		var err error
		if advertise, err = p.register(ctx); err != nil {
			return nil, err
		}
	}
	if p.upstreams != nil {
		p.node.start(p.upstreams.Run)
	}
	return router.New(p.routerConfig(p.members(), advertise))
}

// routerConfig is the settings as the router takes them.
func (p *routerProcess) routerConfig(dir router.Directory, advertise string) router.Config {
	set := &p.set
	return router.Config{
		Directory: dir, RuntimeDir: set.RuntimeDir, HostName: set.HostName, AdvertiseAddr: advertise, Path: set.Path,
		Balance: set.Balance, TrustedProxies: set.TrustedProxies, ProxyProtocol: set.ProxyProtocol == "on",
		Certificates: p.certificates, HTTP1Only: set.HTTP2 == "off", RedirectPort: p.redirectPort(),
		MaxHeadBytes: set.MaxHeadBytes, MaxBodyBytes: set.MaxBodyBytes, HeadTimeout: set.HeadTimeout, IdleTimeout: set.IdleTimeout,
		HandshakesInFlight: set.HandshakesInFlight, HandshakeRate: set.HandshakeRate, HandshakesPerAddress: set.HandshakesPerAddress,
		RequestsInFlight: set.RequestsInFlight, TLSHandshakeRate: set.TLSHandshakeRate, MaxConnections: set.MaxConnections,
		MaxSilent: set.MaxSilent, BodyTimeout: set.BodyTimeout, MinBodyRate: bodyRate(set.MinBodyRate),
		AllowedOrigins: set.AllowedOrigins,
		AccessLog:      set.AccessLog, DebugHeader: set.DebugHeader == "on" || set.Level == "debug",
		DrainDelay: set.DrainDelay, DrainRate: set.DrainRate, ShutdownTimeout: set.ShutdownTimeout,
		Log: p.log, Metrics: p.node.metrics,
	}
}

// bodyRate is the setting as the router takes it, for which zero is the default.
func bodyRate(set int) int {
	if set == 0 {
		return -1
	}
	return set
}

// register waits for Redis, and says there how other hosts reach this one.
func (p *routerProcess) register(ctx context.Context) (advertise string, err error) {
	n := p.node
	if err := n.reach(ctx); err != nil {
		return "", err
	}
	local, err := n.conn.LocalIP(ctx)
	if err != nil {
		return "", err
	}
	if err := seenByOthers(p.set.Upstreams.List, local); err != nil {
		return "", err
	}
	if advertise, err = p.set.Door.Advertised(p.addr, local); err != nil {
		return "", err
	}
	reg, err := n.dir.RegisterRouter(ctx, directory.Router{
		Host: p.set.HostName, Addr: advertise, State: directory.StateReady, Started: n.started, Version: versionText(),
	}, func() int {
		if r := p.router.Load(); r != nil {
			return r.Connections()
		}
		return 0
	})
	if err != nil {
		return "", p.set.Redis.Problem(err)
	}
	n.start(reg.Run)
	n.start(func(ctx context.Context) error { return n.watchMembers(ctx, p.set.HostName, p.set.Path) })
	context.AfterFunc(ctx, func() { reg.SetState(directory.StateDraining) })
	return advertise, n.dir.Synced(ctx)
}

// members is who a router sends to, and why.
type members interface {
	router.Directory
	Trace(ctx context.Context, sid string) (directory.Trace, error)
}

// members are those of the directory, with the backends that are listed by hand.
func (p *routerProcess) members() members {
	if p.upstreams != nil {
		return p.upstreams
	}
	return p.node.dir
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
		p.log.Warn().Err(err).Msg("the service manager does not hear us")
	}
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
	if p.node.conn != nil {
		redis = p.node.conn.String()
	}
	return admin.Status{
		Role: "router", Host: p.set.HostName, Version: versionText(), Started: p.node.started, Addr: p.addr,
		App: p.set.App.App, Redis: redis, Workers: shownWorkers(p.members().Workers()),
		Problems: disagreements(p.members().Workers().All(), p.set.HostName, p.set.Path),
	}
}

// startAdmin serves the admin HTTP to the supervisor, which finds it once publish was called, or on SIDEREAL_ADMIN_ADDR.
func (p *routerProcess) startAdmin(ctx context.Context, settings *config.Settings) (publish func() error, err error) {
	var l net.Listener
	publish = func() error { return nil }
	if p.supervised() {
		var socket *admin.SocketListener
		if socket, err = admin.ListenSocket(p.set.RuntimeDir, p.socketName()); err == nil {
			l, publish = socket, socket.Publish
		}
	} else if l = p.admin; l == nil {
		l, err = listenAdmin(ctx, p.set.AdminAddr, settings, p.log)
	}
	if err != nil || l == nil {
		return publish, err
	}
	server := admin.New(admin.Config{
		Ready: p.ready, Status: p.status, Gatherer: p.node.metrics, Trace: p.traceSID,
		Cluster: func(context.Context) (any, error) { return clusterOf(p.set.App.App, p.members().Workers()), nil },
	})
	p.node.start(func(ctx context.Context) error { return server.Run(ctx, l) })
	return publish, nil
}

// socketName is what the router's admin socket is called: a host may have one router for each port of an app.
func (p *routerProcess) socketName() string {
	if _, port, ok := strings.Cut(p.set.App.App, ":"); ok {
		return "router-" + port
	}
	return "router"
}

// tellingListener tells when it is closed: a supervisor lets the workers stop once their router takes nobody in.
type tellingListener struct {
	net.Listener
	closed func()
}

func (l tellingListener) Close() error {
	defer l.closed()
	return l.Listener.Close()
}
