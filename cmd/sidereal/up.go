package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	nodejs "github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
	"github.com/sidereal-io/sidereal/internal/transport"
)

func upCommand() *cobra.Command {
	var set config.Up
	cmd := &cobra.Command{
		Use:   "up [file | script | command [args...]]",
		Short: "Run a host in the foreground: a router, and workers of the command or of the demo app",
		Long: `Run a host in the foreground: a router, and as many workers as SIDEREAL_INSTANCES says, each a process of the command.
Without a command the workers run the built-in demo app. Flags behind the command are the command's.

Process files (ecosystem.config.js and its like) and scripts (worker.js) are run as ` + "`start --no-daemon`" + ` does, which has the flags for them.

SIGTERM and SIGINT drain and end the host, a second one ends it at once; SIGUSR2 replaces the workers one by one;
SIGHUP has the certificates read again.`,
		Example: "  sidereal up\n  sidereal up -i 4 ./chat\n  SIDEREAL_REDIS_URL=redis://10.0.0.9:6379 sidereal up ./chat",
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			h := &hostProcess{set: set, settings: settings, log: logger(set.Log, settings)}
			return h.run(args)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// hostProcess is `sidereal up`: the processes of one host, and the operator's door to them.
type hostProcess struct {
	set      config.Up
	settings *config.Settings
	log      zerolog.Logger

	dir        *supervisor.RuntimeDir
	node       *node
	doors      doors
	admin      net.Listener // nil: off
	manager    systemd.Notifier
	redis      *net.TCPListener
	advertise  string
	supervisor atomic.Pointer[supervisor.Supervisor] // nil while Redis is waited for
}

// run keeps the host up until a signal stops it.
func (h *hostProcess) run(args []string) (err error) {
	command, own, err := workerProgram(args)
	if err != nil {
		return err
	}
	count := config.Count(h.set.Instances, supervisor.Cores())
	if err := h.set.Cluster.Suits(count, h.set.Redis); err != nil {
		return err
	}
	ctx, stop := untilSignal(h.endAtOnce)
	defer stop()
	if _, err := openCertificates(h.set.TLS); err != nil {
		return err
	}
	h.reloadOnSignal()
	lifeline.OnHangup(ctx, func() {
		if s := h.supervisor.Load(); s != nil {
			s.Signal(syscall.SIGHUP, "router")
		}
	})
	h.manager = systemd.OpenNotifier()
	if h.doors, err = openDoors(ctx, h.set.Door, h.set.TLS, h.set.Redirect); err != nil {
		return err
	}
	defer h.doors.close()
	if h.admin = h.doors.admin; h.admin == nil {
		if h.admin, err = listenAdmin(ctx, h.set.AdminAddr, h.settings, h.log); err != nil {
			return err
		}
	}
	if h.dir, err = supervisor.NewRuntimeDir("", nodejs.Preload); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.dir.Close()) }()
	if h.set.RedisURL == "" {
		if err := h.embedRedis(ctx); err != nil {
			return err
		}
	}
	if h.node, err = openNode(h.set.Redis, h.set.App.App, h.set.SIDTTL, h.log.Hook(untilSupervising{h})); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.node.close()) }()
	h.startAdmin()
	if err := h.findRedis(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return h.supervise(ctx, h.specs(command, own, count))
}

// workerProgram is what the workers run: the command, or the demo app of this program.
func workerProgram(args []string) (command []string, own bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, false, err
	}
	if len(args) == 0 {
		return []string{self, "worker"}, true, nil
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, false, usageError(args[0] + " is no command of sidereal up: there is no such program")
	}
	return append([]string{path}, args[1:]...), false, nil
}

// lastWord is what a host that is killed gets for its own end.
const lastWord = time.Second

// endAtOnce is what a second signal to stop does. Where even that hangs, because nobody reads what we log, the process ends
// on the spot, and its children with it.
func (h *hostProcess) endAtOnce() {
	s := h.supervisor.Load()
	if s == nil {
		exitAtOnce()
	}
	time.AfterFunc(lastWord, func() {
		os.RemoveAll(h.dir.Path)
		exitAtOnce()
	})
	s.Kill()
}

// reloadOnSignal replaces the workers one by one at SIGUSR2.
func (h *hostProcess) reloadOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	go func() {
		for range signals {
			if s := h.supervisor.Load(); s != nil {
				s.Reload(host.OnlyGroup)
			}
		}
	}()
}

// untilSupervising drops what this process' own connection to Redis has to say once there are children: they say it too.
type untilSupervising struct{ h *hostProcess }

func (u untilSupervising) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	if u.h.supervisor.Load() != nil {
		e.Discard()
	}
}

// findRedis waits for the Redis of the settings, and settles how other hosts reach this one.
func (h *hostProcess) findRedis(ctx context.Context) error {
	if h.redis != nil {
		h.node.run() // the supervisor is about to start it
	} else if err := h.node.reach(ctx); err != nil {
		return err
	} else if err := h.checkRights(ctx); err != nil {
		return err
	}
	local, err := h.node.conn.LocalIP(ctx)
	if err != nil {
		return err
	}
	h.advertise, err = h.set.Door.Advertised(h.doors.addr().String(), local)
	return err
}

// checkRights tries for all workers what their adapter needs of a Redis that is not our own.
func (h *hostProcess) checkRights(ctx context.Context) error {
	if h.set.Adapter == transport.Memory {
		return nil
	}
	return transport.Check(ctx, h.set.Cluster, h.set.Redis, h.node.conn)
}

// supervise runs the processes until ctx ends and they have stopped.
func (h *hostProcess) supervise(ctx context.Context, specs []supervisor.Spec) error {
	s, err := supervisor.New(supervisor.Config{
		Specs:       specs,
		StopTimeout: h.set.DrainDelay + h.set.ShutdownTimeout + time.Second, // each process cuts off by itself what is left
		Output:      os.Stderr, Prefix: h.set.Format == "console", Color: config.Color(os.Stderr),
		OnExit: func(e supervisor.Exit) {
			if id := e.Attrs[lifeline.Worker]; id != "" {
				h.node.dir.WorkerGone(id)
			}
		},
		OnSilent: h.silent,
		Log:      h.log, Metrics: h.node.metrics,
	})
	if err != nil {
		return err
	}
	h.supervisor.Store(s)
	h.node.start(func(node context.Context) error { return h.announce(ctx, node, s) })
	defer context.AfterFunc(ctx, func() { h.notify(systemd.Stopping) })()
	err = s.Run(ctx)
	var exit *supervisor.ExitError
	if errors.As(err, &exit) && exit.Code == config.ExitUsage {
		return exitCode(config.ExitUsage) // the child has said why
	}
	return err
}

// silent has nobody give a worker anything new that has missed its beats: our router by its line,
// which needs no Redis, and the others by the directory.
func (h *hostProcess) silent(e supervisor.Silence) {
	key := lifeline.Heard
	if e.Silent {
		key = lifeline.Silent
	}
	if s := h.supervisor.Load(); s != nil {
		_ = s.Tell("router", key, e.Worker) // one that is gone needs not know
	}
	h.node.dir.WorkerSilent(e.Worker, e.Silent)
}

// startAdmin serves the host's admin HTTP.
func (h *hostProcess) startAdmin() {
	if h.admin == nil {
		return
	}
	server := admin.New(admin.Config{
		Ready: h.ready, Status: h.status, Trace: h.traceSID, Cluster: h.clusterPage,
		Gatherer: admin.Aggregate(h.node.metrics, h.dir.Path, h.childNames),
	})
	h.node.start(func(ctx context.Context) error { return server.Run(ctx, h.admin) })
}
