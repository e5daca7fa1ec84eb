package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

const workerGroup = "workers"

// The order in which a host stops: first nobody gets in, then the sessions move away, and Redis carries their last words.
const (
	stageRouter = iota
	stageWorkers
	stageRedis
)

// embedRedis makes ready for a Redis of our own: the address that it will listen on, and its password.
func (h *host) embedRedis(ctx context.Context) (err error) {
	if h.redis, err = supervisor.Listen(ctx, "127.0.0.1:0"); err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	h.password = rand.Text()
	h.set.Redis = config.Redis{RedisURL: "redis://" + h.redis.Addr().String(), RedisPassword: h.password}
	h.log.Info().Msg("no SIDEREAL_REDIS_URL: an embedded Redis serves this host alone; for several hosts set SIDEREAL_REDIS_URL=redis://host:6379")
	return nil
}

// specs are the host's processes.
func (h *host) specs(command []string, own bool, workers int) []supervisor.Spec {
	self, _ := os.Executable() // workerProgram has asked before
	var specs []supervisor.Spec
	if h.redis != nil {
		specs = append(specs, supervisor.Spec{
			Name: "redis", Command: []string{self, "redis"}, Stage: stageRedis,
			Listeners: []*net.TCPListener{h.redis}, FatalCode: config.ExitUsage,
			AliveTimeout: h.set.AliveTimeout, FreezeTimeout: h.set.FreezeTimeout,
		})
	}
	specs = append(specs, supervisor.Spec{
		Name: "router", Command: []string{self, "router"}, Stage: stageRouter, Yields: true,
		Listeners: h.doors.all(), Env: h.doors.env(), FatalCode: config.ExitUsage,
		AliveTimeout: h.set.AliveTimeout, FreezeTimeout: h.set.FreezeTimeout,
	})
	for i := range workers {
		spec := supervisor.Spec{
			Name: fmt.Sprintf("worker-%d", i+1), Group: workerGroup, Command: command, Stage: stageWorkers,
			AliveTimeout: h.set.AliveTimeout, FreezeTimeout: h.set.FreezeTimeout,
			Env: []string{
				fmt.Sprintf("SIDEREAL_WORKER_ID=%d", i+1),
				fmt.Sprintf("NODE_APP_INSTANCE=%d", i), fmt.Sprintf("WORKER_ID=%d", i),
			},
		}
		if os.Getenv("GOMAXPROCS") == "" {
			spec.Env = append(spec.Env, fmt.Sprintf("GOMAXPROCS=%d", supervisor.Share(workers)))
		}
		if own { // of another program 2 may mean anything: Go's panics end with it
			spec.FatalCode = config.ExitUsage
		}
		specs = append(specs, spec)
	}
	return specs
}
