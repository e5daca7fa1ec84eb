package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/sockets"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Daemon runs the apps of one home folder.
type Daemon struct {
	*registry

	cfg     Config
	environ []string
	started time.Time
	metrics *prometheus.Registry
	host    *host.Host
	logs    *logs
	bus     bus
	usage   meter
	admin   net.Listener
	end     context.CancelFunc // of Run
	lock    *homeLock          // homeGuard's, while that runs
	control *controlSocket
	pids    pidFiles

	watchers sync.WaitGroup // of files

}

// Run runs the daemon of a home folder until ctx ends, or a command ends it, and then stops
// everything. It returns ErrRunning if another daemon owns the folder. Call it once, from the
// main goroutine.
func Run(ctx context.Context, cfg Config) error {
	say := starter()
	lock, err := cfg.Home.lock()
	if errors.Is(err, errLocked) {
		say(saidRunning)
		return ErrRunning
	}
	if err != nil {
		say(sayFailure(config.ExitFailed, err.Error()))
		return err
	}
	defer lock.unlock()
	var d *Daemon
	if cfg.Program, err = cfg.Home.keepProgram(cfg.Program); err == nil {
		d, err = newDaemon(cfg)
	}
	if err == nil {
		d.lock = lock
		err = d.run(ctx, func() { say(saidReady) })
	}
	if err != nil {
		say(sayFailure(config.ExitCode(err), err.Error())) // does nothing after it has reported that it is ready
	}
	return err
}

func newDaemon(cfg Config) (*Daemon, error) {
	d := &Daemon{
		cfg: cfg, started: time.Now(), metrics: prometheus.NewRegistry(),
		environ:  cfg.Environ,
		registry: newRegistry(),
	}
	if d.environ == nil {
		d.environ = os.Environ()
	}
	d.bus.all = map[*rider]bool{}
	m, err := NewMetrics(d.metrics, d.list)
	if err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	d.logs = newLogs(d.registry, &d.cfg, m)
	d.pids.home, d.pids.log = cfg.Home, cfg.Log
	d.usage.last = map[int]sample{}
	first, err := rand.Int(rand.Reader, big.NewInt(1<<30))
	if err != nil {
		return nil, fmt.Errorf("daemon: %w", err)
	}
	h := host.Config{
		Program: cfg.Program, Environ: d.environ, RuntimeDir: cfg.Home.runtime(), Liveness: cfg.Settings.Liveness, ServiceLog: cfg.Settings.Log,
		Supervisor: supervisor.Config{
			Lasting: true, Output: d.serviceOutput(), Prefix: cfg.Prefix, Color: cfg.Color, Host: config.HostName(cfg.Settings.HostName), Metrics: d.metrics,
			FirstID:   int(first.Int64()) + 1, // so that Node's worker ids differ between hosts
			OnMessage: d.messaged,
		},
		Exited: d.exited, Settle: cfg.settleTime, Log: cfg.Log, Client: cfg.Client,
	}
	if cfg.OwnLog != nil {
		h.LogFile = cfg.Home.Log()
	}
	if d.host, err = host.New(h); err == nil {
		d.logs.print = d.host.Processes.Print
	}
	return d, err
}

// serviceOutput returns the writer of the services' lines, and in the foreground of all lines.
func (d *Daemon) serviceOutput() io.Writer {
	if d.cfg.Output != nil {
		return d.cfg.Output
	}
	if d.cfg.OwnLog != nil {
		return d.cfg.OwnLog
	}
	return os.Stderr
}

// run serves until ctx ends, or kill.
func (d *Daemon) run(ctx context.Context, ready func()) (err error) {
	ctx, d.end = context.WithCancel(ctx)
	defer d.end()
	var owner sync.WaitGroup
	owner.Go(d.registry.run)
	defer owner.Wait()
	defer close(d.over)
	var succeeds bool // a daemon that was killed had the folder before
	if d.control, succeeds, err = openControl(d.cfg.Home.socket()); err != nil {
		return err
	}
	if succeeds {
		d.host.AwaitPorts(d.started.Add(orphanTime))
	}
	defer func() { err = errors.Join(err, d.control.remove()) }()
	if d.admin, err = sockets.ListenAdmin(ctx, d.cfg.Settings.AdminAddr, d.cfg.AdminChosen, d.cfg.Log); err != nil {
		return errors.Join(err, d.control.Close())
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx)) // the control socket stays until the end
	defer stop()
	var parts errgroup.Group
	parts.Go(func() error { return d.serveControl(serving, d.control) })
	parts.Go(func() error { return d.serveAdmin(serving) })
	guard := homeGuard{home: d.cfg.Home, lock: d.lock, control: d.control, restored: d.homeRestored, log: d.cfg.Log}
	parts.Go(func() error {
		if guard.run(ctx) != nil {
			d.end()
		}
		return nil
	})
	parts.Go(func() error {
		d.writePIDs(ctx)
		return nil
	})
	parts.Go(func() error {
		d.reloadAtSignal(ctx)
		return nil
	})
	hangups := lifeline.NotifyHangups()
	parts.Go(func() error {
		hangups.Follow(ctx, d.host.ReloadCertificates)
		return nil
	})
	var idle error
	if d.cfg.Apps != nil {
		parts.Go(func() error {
			idle = d.foreground(ctx)
			d.end()
			return nil
		})
	}
	if d.cfg.Resurrect {
		parts.Go(func() error {
			err := d.resurrect(ctx, d.cfg.Happened)
			if err == nil || ctx.Err() != nil { // after a signal to stop, an error isn't a failure
				return nil
			}
			d.end()
			done := doneOf(err)
			return &Failure{Code: done.Code, Text: done.Error}
		})
	}
	d.cfg.Log.Info("daemon ready", "home", string(d.cfg.Home), "pid", os.Getpid())
	ready()
	err = d.host.Run(ctx)
	stop()
	err = errors.Join(err, parts.Wait(), idle)
	d.closeAll()
	d.cfg.Log.Info("daemon stopped")
	return err
}

// foreground starts the apps of the Config. It returns when none of them runs any more, or ctx
// ends.
func (d *Daemon) foreground(ctx context.Context) error {
	err := d.start(ctx, Start{Apps: d.cfg.Apps, Mode: StartRestart}, func(e Event) {
		if e.Level != "info" {
			d.cfg.Log.Warn(e.Text, "process", e.Name)
		}
	})
	var failure *Failure
	if errors.As(err, &failure) && failure.Code == config.ExitUsage {
		return err
	}
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error(err.Error())
	}
	tick := time.NewTicker(cmp.Or(d.cfg.idleInterval, 2*time.Second))
	defer tick.Stop()
	for idle := 0; idle < idleChecks; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if idle++; d.cfg.Stay || d.anyAlive() {
			idle = 0
		}
	}
	return ErrIdle
}

// anyAlive reports whether a process of the list runs or will run.
func (d *Daemon) anyAlive() bool {
	for _, p := range d.list().Processes {
		if p.Status != Stopped && p.Status != Errored {
			return true
		}
	}
	return false
}

// orphanTime is the time that the processes of a killed daemon may take to end and to release
// their ports.
const orphanTime = 2 * time.Second

// exited removes the pid file of a process that has ended.
func (d *Daemon) exited(x supervisor.Exit) {
	e := d.entryAt(x.Name)
	if e == nil {
		return
	}
	ap := d.see(e.app)
	d.pids.ended(e, &ap.app, x.PID)
}

// homeRestored opens the files again in a home folder that was made anew.
func (d *Daemon) homeRestored() (err error) {
	d.logs.set.Reopen()
	if own, ok := d.cfg.OwnLog.(*logfile.File); ok {
		err = own.Reopen()
	}
	d.pids.rewrite.Store(true)
	d.host.Processes.Poke()
	return err
}

// closeAll closes the rest after all processes have ended.
func (d *Daemon) closeAll() {
	for _, ap := range d.allApps() {
		d.change(ap, func(f *facts) { f.gone = true })
		d.unwatch(ap)
		if err := ap.deployment.Close(); err != nil {
			d.cfg.Log.Warn("app closed", "app", ap.name, "error", err)
		}
	}
	d.watchers.Wait()
	if d.admin != nil {
		d.admin.Close()
	}
}
