package service

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/httpapi"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// APIConfig says what an HTTP API is made from.
type APIConfig struct {
	Process
	Settings config.APIServer
}

// API runs the HTTP API of an app until ctx ends, and finishes its requests then.
func API(ctx context.Context, cfg APIConfig) error {
	set := &cfg.Settings
	switch {
	case config.IsOff(set.APIAddr):
		return &config.ValueError{Variable: "SIDEREAL_API_ADDR", Rule: "must be set, such as 127.0.0.1:9481"}
	case set.RedisURL == "":
		return &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must name the Redis of the app's servers"}
	case set.Adapter == adapterenv.Memory:
		return errMemory(set.Adapter)
	}
	p := &apiProcess{process: newProcess(cfg.Process), set: set}
	return p.run(ctx)
}

// apiProcess is an HTTP API with everything around it.
type apiProcess struct {
	process
	set  *config.APIServer
	conn *redisconn.Conn
	addr string
}

// run serves until ctx ends. The parts outlive ctx, since requests that are under way need Redis.
func (p *apiProcess) run(ctx context.Context) (err error) {
	keys, err := apikey.Parse(p.set.APIKeys)
	if err != nil {
		return &config.ValueError{Variable: "SIDEREAL_API_KEYS", Rule: err.Error()}
	}
	line, err := lifeline.Open(p.set.SupervisorFD)
	if err != nil {
		return err
	}
	l, err := p.listen(ctx)
	if err != nil {
		return err
	}
	defer l.Close()
	p.addr = l.Addr().String()
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts := new(errgroup.Group)
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	if err := p.openRedis(hard, parts); err != nil {
		return err
	}
	server, carrying, unlink, err := p.server(hard, keys)
	if err != nil {
		return err
	}
	defer func() { // while the connection still runs
		unlink()
		err = errors.Join(err, carrying.Wait())
	}()
	publish, err := p.startAdmin(ctx, hard, parts)
	if err != nil {
		return err
	}
	follow(hard, parts, line, drop)
	if err := publish(); err != nil {
		return err
	}
	p.log.Info("HTTP API ready", "addr", p.addr, "keys", len(keys), "tls", p.set.APITLS == "on")
	report(line, lifeline.Ready)
	return server.Run(ctx, l)
}

// server makes the server, and runs its member of the cluster until unlink is called.
func (p *apiProcess) server(ctx context.Context, keys []apikey.Key) (s *httpapi.Server, carrying *errgroup.Group, unlink func(), err error) {
	sender := adapterenv.Emitter(p.set.Cluster)
	sender.Redis, sender.Log = p.conn.Client(), p.log
	e, err := emitter.New(sender)
	if err != nil {
		return nil, nil, nil, err
	}
	member := adapterenv.Config(p.set.Cluster)
	member.Conn, member.AskOnly, member.Log, member.Metrics = p.conn, true, p.log, p.metrics
	member.Name, member.Version = p.set.HostName+"/api", p.version
	linked, err := adapter.New(member)
	if err != nil {
		return nil, nil, nil, err
	}
	s, err = httpapi.New(httpapi.Config{
		Keys: keys, App: p.set.App.App, Redis: p.conn, Emitter: e, Cluster: linked, Timeout: p.set.APITimeout, MaxBodyBytes: p.set.APIMaxBodyBytes, Rate: p.set.APIRate,
		Log: p.log, Metrics: p.metrics,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, unlink = context.WithCancel(ctx)
	carrying = new(errgroup.Group)
	carrying.Go(func() error { return linked.Run(ctx) })
	return s, carrying, unlink, nil
}

// Emit emits an event straight through Redis, for a command. The body is that of POST /v1/emit.
func Emit(ctx context.Context, set config.APIServer, body []byte) (answer []byte, err error) {
	switch {
	case set.RedisURL == "":
		return nil, &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must name the Redis of the app's servers, or SIDEREAL_API_ADDR an HTTP API"}
	case set.Adapter == adapterenv.Memory:
		return nil, errMemory(set.Adapter)
	}
	p := &apiProcess{process: newProcess(Process{Log: slog.New(slog.DiscardHandler)}), set: &set}
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts := new(errgroup.Group)
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	if err := p.openRedis(hard, parts); err != nil {
		return nil, err
	}
	if err := p.conn.Wait(ctx); err != nil {
		return nil, err
	}
	s, carrying, unlink, err := p.server(hard, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		unlink()
		err = errors.Join(err, carrying.Wait())
	}()
	return s.Do(ctx, "emit", body)
}

// errMemory refuses the adapter of a single process.
func errMemory(adapter string) error {
	return &config.ValueError{Variable: "SIDEREAL_ADAPTER", Value: adapter, Rule: "must be an adapter over Redis: other processes can't reach a server in memory"}
}

// listen takes over the socket that the supervisor holds, or opens the one that the settings name.
func (p *apiProcess) listen(ctx context.Context) (l net.Listener, err error) {
	if len(p.set.ListenFDs) > 0 {
		all, err := supervisor.Inherited(p.set.ListenFDs)
		if err != nil {
			return nil, err
		}
		l = all[0]
	} else if l, err = sockets.Listen(ctx, "SIDEREAL_API_ADDR", p.set.APIAddr); err != nil {
		return nil, err
	}
	if ip := l.Addr().(*net.TCPAddr).IP; p.set.APITLS != "on" && !ip.IsLoopback() {
		p.log.Warn("keys of the HTTP API travel in plain text: keep the network private, or set SIDEREAL_API_TLS=on", "addr", l.Addr().String())
	}
	if p.set.APITLS != "on" {
		return l, nil
	}
	c := &certificates{set: p.set.TLS}
	if _, err := c.current(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current() }}), nil
}

// openRedis opens the connection to Redis. It fails only if an operator has to act.
func (p *apiProcess) openRedis(ctx context.Context, parts *errgroup.Group) (err error) {
	if p.conn, err = p.set.Redis.Open(p.log, p.counts); err != nil {
		return err
	}
	err = p.conn.Check(ctx)
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return errors.Join(p.set.Redis.Problem(err), p.conn.Close())
	}
	parts.Go(func() error { return errors.Join(p.conn.Run(ctx), p.conn.Close()) })
	if err == nil { // requests that come before Run has noticed would be told that Redis is away
		soon, cancel := context.WithTimeout(ctx, p.set.APITimeout)
		defer cancel()
		_ = p.conn.Wait(soon) // without Redis the API answers, too
	}
	return nil
}

func (p *apiProcess) startAdmin(ctx, hard context.Context, parts *errgroup.Group) (publish func() error, err error) {
	at := adminPlace{runtimeDir: p.set.RuntimeDir, socket: "api", addr: p.set.AdminAddr}
	source := sampled(inspect.Process{Host: p.set.HostName, App: p.set.App.App, Name: "api", Role: "service", Started: p.started}, p.counts, func() *redisconn.Conn { return p.conn })
	return p.serveAdmin(ctx, hard, parts, at, admin.Config{Ready: p.ready, Status: p.status, Gatherer: p.metrics, Inspect: inspect.NewHandler(&source, nil)})
}

func (p *apiProcess) ready(context.Context) error {
	if !p.conn.Up() {
		return errors.New("waiting for Redis")
	}
	return nil
}

func (p *apiProcess) status(context.Context) admin.Status {
	return admin.Status{Role: "api", Host: p.set.HostName, Version: p.version, Started: p.started, Addr: p.addr, App: p.set.App.App, Redis: p.conn.String()}
}

// certificates are the files of SIDEREAL_TLS_CERT, which it reads again once in a while.
type certificates struct {
	set config.TLS

	mu   sync.Mutex // guards the rest
	last *tls.Config
	read time.Time
}

// rereadCertificates is how old the read files may be.
const rereadCertificates = time.Minute

// current returns what the files had at the last look that went well.
func (c *certificates) current() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && time.Since(c.read) < rereadCertificates {
		return c.last, nil
	}
	c.read = time.Now()
	next, err := loadCertificates(c.set)
	if err == nil {
		c.last = next
	}
	if c.last == nil {
		return nil, err
	}
	return c.last, nil
}

func loadCertificates(set config.TLS) (*tls.Config, error) {
	files, err := set.Pairs()
	if err != nil {
		return nil, err
	}
	made := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	for _, f := range files {
		pair, err := tls.LoadX509KeyPair(f[0], f[1])
		if err != nil {
			return nil, &config.ValueError{Variable: "SIDEREAL_TLS_CERT", Value: set.TLSCert, Rule: "must be certificates with their keys: " + err.Error()}
		}
		made.Certificates = append(made.Certificates, pair)
	}
	return made, nil
}
