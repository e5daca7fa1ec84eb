package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// embedRedis makes ready for a Redis of our own: the address that it will listen on, and its password.
func (h *hostProcess) embedRedis(ctx context.Context) (err error) {
	if h.redis, err = supervisor.Listen(ctx, "127.0.0.1:0"); err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	h.set.Redis = config.Redis{RedisURL: "redis://" + h.redis.Addr().String(), RedisPassword: rand.Text()}
	h.log.Info().Msg("no SIDEREAL_REDIS_URL: an embedded Redis serves this host alone; for several hosts set SIDEREAL_REDIS_URL=redis://host:6379")
	return nil
}

// specs are the host's processes.
func (h *hostProcess) specs(command []string, own bool, workers int) []supervisor.Spec {
	self, _ := os.Executable() // workerProgram has asked before
	app := host.App{Kind: host.Worker, Variables: h.settings.Environ(), Settings: host.Settings{
		App: h.set.App, Stopping: h.set.Stopping,
		Liveness: config.Liveness{AliveTimeout: h.set.AliveTimeout, FreezeTimeout: h.set.FreezeTimeout}, // workers of up say when they are ready
	}}
	for i := range workers {
		p := host.Process{Slot: i + 1}
		p.Name, p.Command = fmt.Sprintf("worker-%d", i+1), command
		p.Environ = host.Inherited(os.Environ(), h.settings)
		p.Env = []string{fmt.Sprintf("NODE_APP_INSTANCE=%d", i), fmt.Sprintf("WORKER_ID=%d", i)}
		if own { // of another program 2 may mean anything: Go's panics end with it
			p.FatalCode = config.ExitUsage
		}
		if config.Color(os.Stderr) {
			p.Env = append(p.Env, "FORCE_COLOR=1")
		}
		app.Processes = append(app.Processes, p)
	}
	facts := host.Facts{
		Program: []string{self}, Environ: os.Environ(), Cores: supervisor.Cores(), Dir: h.dir.Path, Advertise: h.advertise,
		Doors: []host.Door{{
			Router: app.RouterPlace(), App: h.set.App.App, Advertise: h.advertise, Listeners: h.doors.all(), Redirect: h.doors.redirected(),
		}},
	}
	if config.Color(os.Stderr) {
		facts.Environ = append(facts.Environ, "FORCE_COLOR=1")
	}
	if h.redis == nil {
		return host.Plan(app, facts)
	}
	facts.Redis = &h.set.Redis
	return append([]supervisor.Spec{host.EmbeddedRedis(facts, h.set.Liveness, h.redis)}, host.Plan(app, facts)...)
}
