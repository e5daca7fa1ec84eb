package main

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/router"
)

func routerCommand() *cobra.Command {
	var set config.Router
	cmd := &cobra.Command{
		Use: "router", Short: "Run a router alone, before workers that share its Redis", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			if set.RedisURL == "" {
				return &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must be set: a router finds the workers in Redis"}
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
	router atomic.Pointer[router.Router] // nil before Redis has been there

	certificates *router.Certificates // nil: no TLS
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
	line, err := openLine(p.set.Child)
	if err != nil {
		return err
	}
	listeners, err := p.listen(ctx)
	if err != nil {
		return err
	}
	p.addr = listeners[0].Addr().String()
	if p.node, err = openNode(p.set.Redis, p.set.App.App, p.set.SIDTTL, p.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.node.close()) }()
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
	for i, l := range listeners {
		listeners[i] = tellingListener{l, func() { report(line, lifeline.Draining) }}
	}
	if err := publish(); err != nil {
		return err
	}
	report(line, lifeline.Ready)
	return r.Serve(ctx, listeners...)
}

// listen opens SIDEREAL_ADDR, or takes over the sockets that the supervisor holds.
func (p *routerProcess) listen(ctx context.Context) ([]net.Listener, error) {
	if len(p.set.ListenFDs) > 0 {
		return supervisor.Inherited(p.set.ListenFDs)
	}
	l, err := supervisor.Listen(ctx, p.set.Addr)
	if err != nil {
		return nil, listenError("SIDEREAL_ADDR", p.set.Addr, err)
	}
	return []net.Listener{l}, nil
}

// join waits for Redis, registers, and makes the router.
func (p *routerProcess) join(ctx context.Context) (*router.Router, error) {
	n := p.node
	if err := n.reach(ctx); err != nil {
		return nil, err
	}
	local, err := n.conn.LocalIP(ctx)
	if err != nil {
		return nil, err
	}
	advertise, err := p.set.Door.Advertised(p.addr, local)
	if err != nil {
		return nil, err
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
		return nil, p.set.Redis.Problem(err)
	}
	n.start(reg.Run)
	n.start(func(ctx context.Context) error { return n.watchMembers(ctx, p.set.HostName, p.set.Path) })
	context.AfterFunc(ctx, func() { reg.SetState(directory.StateDraining) })
	if err := n.dir.Synced(ctx); err != nil {
		return nil, err
	}
	return router.New(router.Config{
		Directory: n.dir, RuntimeDir: p.set.RuntimeDir, HostName: p.set.HostName, AdvertiseAddr: advertise,
		Path: p.set.Path, Balance: p.set.Balance, TrustedProxies: p.set.TrustedProxies,
		HandshakesInFlight: p.set.HandshakesInFlight, HandshakeRate: p.set.HandshakeRate,
		HandshakesPerAddress: p.set.HandshakesPerAddress, MaxConnections: p.set.MaxConnections,
		Certificates: p.certificates,
		DrainDelay:   p.set.DrainDelay, DrainRate: p.set.DrainRate, ShutdownTimeout: p.set.ShutdownTimeout,
		Log: p.log, Metrics: n.metrics,
	})
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
	return admin.Status{
		Role: "router", Host: p.set.HostName, Version: versionText(), Started: p.node.started, Addr: p.addr,
		App: p.set.App.App, Redis: p.node.conn.String(), Workers: p.node.workers(),
		Problems: disagreements(p.node.dir.Workers().All(), p.set.HostName, p.set.Path),
	}
}

// startAdmin serves the admin HTTP to the supervisor, which finds it once publish was called, or on SIDEREAL_ADMIN_ADDR.
func (p *routerProcess) startAdmin(ctx context.Context, settings *config.Settings) (publish func() error, err error) {
	var l net.Listener
	publish = func() error { return nil }
	if p.supervised() {
		var socket *admin.SocketListener
		if socket, err = admin.ListenSocket(p.set.RuntimeDir, "router"); err == nil {
			l, publish = socket, socket.Publish
		}
	} else {
		l, err = listenAdmin(ctx, p.set.AdminAddr, settings, p.log)
	}
	if err != nil || l == nil {
		return publish, err
	}
	server := admin.New(admin.Config{Ready: p.ready, Status: p.status, Gatherer: p.node.metrics})
	p.node.start(func(ctx context.Context) error { return server.Run(ctx, l) })
	return publish, nil
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
