package host

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Config says what a host is made from.
type Config struct {
	// Program is the command line of this program. Services are its subcommands `router`, `redis`
	// and `nodehost`.
	Program []string
	// Environ is the environment of the services, beneath the settings of their apps.
	Environ []string

	// Supervisor is the supervisor's configuration. The host sets Specs and the callbacks. A host
	// that isn't Lasting ends with a service that can't run.
	Supervisor supervisor.Config

	// Liveness and ServiceLog are the settings of the services that apps share.
	Liveness   config.Liveness
	ServiceLog config.Log
	// LogFile is where the services log, for errors that refer to it; empty if operators see the
	// lines.
	LogFile string

	// RuntimeDir is the folder for the private folders with the apps' sockets and the preload
	// script. Empty: the system's for temporary files, in which other programs may remove files.
	RuntimeDir string

	// Client has the files of the browser client, for Go programs that have none. Nil means none.
	Client fs.FS

	// Exited is called after a process of an app has ended; nil: nobody is told. It may be called
	// concurrently.
	Exited func(supervisor.Exit)

	Log *slog.Logger

	// Settle is how long a silent program has to run to count as ready. Zero means 150 ms.
	Settle time.Duration
}

// Host runs apps on this machine. One supervisor has all their processes and the services around
// them.
type Host struct {
	Processes *supervisor.Supervisor
	Inspect   *inspect.Host // what operators ask about the processes

	cfg        Config
	facts      Facts // that hold for every app
	redis      embeddedRedis
	nodeHost   sharedNodeHost
	opening    sync.Mutex // one port opens at a time, and none while its app goes
	awaitPorts time.Time  // see AwaitPorts

	mu     sync.Mutex // guards what follows
	apps   []*Deployment
	places map[string]*Deployment // of processes
}

// rootRuntime has the folders of apps that run as another user, who doesn't get into the daemon's
// home folder. Unlike the folder for temporary files, nobody cleans it while the system runs.
const rootRuntime = "/run"

// runtimeParent returns the folder for the private folder of an app whose services run as a user;
// nil is this process' user.
func (c *Config) runtimeParent(user *supervisor.User) string {
	if user == nil || int(user.UID) == os.Getuid() {
		return c.RuntimeDir
	}
	if info, err := os.Stat(rootRuntime); err == nil && info.IsDir() && unix.Access(rootRuntime, unix.W_OK) == nil {
		return rootRuntime
	}
	return ""
}

// New makes a host without apps. It starts nothing.
func New(cfg Config) (*Host, error) {
	h := &Host{
		cfg: cfg, places: map[string]*Deployment{}, redis: embeddedRedis{turn: make(chan struct{}, 1)},
		facts: Facts{Program: cfg.Program, Environ: cfg.Environ, Cores: supervisor.Cores(), Settle: cfg.Settle},
	}
	s := cfg.Supervisor
	s.OnExit, s.OnListen, s.OnSilent, s.Log = h.exited, h.listens, h.silent, cfg.Log
	var err error
	h.Processes, err = supervisor.New(s)
	h.Inspect = h.inspected()
	return h, err
}

// AwaitPorts has the host wait until then for ports in use: the processes of a host that was killed
// may still hold them. It must be called before Run.
func (h *Host) AwaitPorts(until time.Time) { h.awaitPorts = until }

// Run runs the processes until ctx ends and the last has stopped. The error is the supervisor's.
func (h *Host) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { h.openDoors(ctx) })
	parts.Go(func() { h.Inspect.Run(ctx) })
	defer parts.Wait()
	return h.Processes.Run(ctx)
}

// ReloadCertificates has all routers read their certificates again.
func (h *Host) ReloadCertificates() {
	st := h.Statuses()
	for _, d := range h.deployments() {
		for _, door := range d.State().Doors {
			if st[door.Router].State == supervisor.Ready {
				_ = h.Processes.Signal(syscall.SIGHUP, door.Router) // a router that has ended reads them at its start
			}
		}
	}
}

// Statuses are the places of the host by name.
func (h *Host) Statuses() map[string]supervisor.Status { return ByName(h.Processes.Status()) }

// ByName maps places by their names.
func ByName(st []supervisor.Status) map[string]supervisor.Status {
	out := make(map[string]supervisor.Status, len(st))
	for _, s := range st {
		out[s.Name] = s
	}
	return out
}

// exited tells the other hosts of a worker that has died.
func (h *Host) exited(x supervisor.Exit) {
	if d := h.at(x.Name); d != nil {
		if c := d.Cluster(); c != nil && x.Attrs[lifeline.Worker] != "" {
			c.Directory.WorkerGone(x.Attrs[lifeline.Worker])
		}
	}
	if h.cfg.Exited != nil {
		h.cfg.Exited(x)
	}
}

// silent has nobody give anything new to a worker that has missed its beats: this host's routers
// learn it over their lines, which need no Redis, and other hosts by the directory.
func (h *Host) silent(s supervisor.Silence) {
	d := h.at(s.Name)
	if d == nil {
		return
	}
	key := lifeline.Heard
	if s.Silent {
		key = lifeline.Silent
	}
	for _, name := range d.routers() {
		_ = h.Processes.Tell(name, key, s.Worker) // a router that has ended needn't know
	}
	if c := d.Cluster(); c != nil {
		c.Directory.WorkerSilent(s.Worker, s.Silent)
	}
}

// at is the app of a process; nil if there is none.
func (h *Host) at(place string) *Deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.places[place]
}

func (h *Host) deployments() []*Deployment {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.apps)
}
