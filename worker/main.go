package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/socketio"
)

// Main runs app as this process, with the server's defaults. It doesn't return: see [MainConfig].
func Main(app App) { MainConfig(socketio.Config{}, app) }

// MainConfig runs app as this process, and doesn't return. It reads the settings with [FromEnv]; a
// Path or Recovery in cfg replaces that of the environment. SIGTERM and SIGINT drain the worker, and a
// second signal ends the process at once. The exit code is 0 after a drain, 1 after a failure, and 2
// for a wrong setting, which one line on standard error names.
func MainConfig(cfg socketio.Config, app App) {
	err := main(cfg, app)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), line)
		}
	}
	os.Exit(config.ExitCode(err))
}

func main(server socketio.Config, app App) error {
	cfg, err := FromEnv()
	if err != nil {
		return err
	}
	if server.Path == "" {
		server.Path = cfg.SocketIO.Path
	}
	if server.Recovery == nil {
		server.Recovery = cfg.SocketIO.Recovery
	}
	cfg.SocketIO = server
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keepHeap()
	lifeline.OnSignals(context.Background(), cancel, func() { os.Exit(config.ExitFailed) })
	return inVariables(Run(ctx, cfg, app))
}

// FromEnv reads the SIDEREAL_* variables of the environment, which docs/configuration.md lists, and a
// supervisor's. The error has a line for each wrong value. FromEnv logs a warning for each SIDEREAL_*
// variable that it doesn't know.
func FromEnv() (Config, error) {
	return fromEnv(config.Source{Environ: os.Environ(), Terminal: config.Terminal(os.Stderr)})
}

func fromEnv(src config.Source) (Config, error) {
	var set config.Worker
	loaded, err := config.Load(&set, src)
	if err != nil {
		return Config{}, err
	}
	cfg := Config{
		Addr: set.Addr, Advertise: set.Advertise,
		Redis: sidereal.Redis{
			URL: set.RedisURL, Username: set.RedisUsername, Password: set.RedisPassword,
			CAFile: set.RedisCAFile, CertFile: set.RedisCertFile, KeyFile: set.RedisKeyFile,
		},
		App: set.App.App, HostName: set.HostName,
		DrainDelay: set.DrainDelay, DrainRate: set.DrainRate, ShutdownTimeout: set.ShutdownTimeout,
		supervised: supervision{dir: set.RuntimeDir, slot: set.Slot, fd: max(set.SupervisorFD, 0)},
	}
	process := "worker"
	if set.RuntimeDir != "" {
		process = fmt.Sprintf("worker-%d", set.Slot)
	}
	cfg.Log = set.Logger(os.Stderr, config.Color(os.Stderr), set.HostName, process)
	cfg.MemoryAdapter = set.Adapter == adapterenv.Memory
	if set.Adapter != "" || set.RedisURL != "" {
		cfg.Adapter = adapterenv.Config(set.Cluster)
	}
	cfg.SocketIO.Path = set.Path
	if set.Recovery > 0 {
		cfg.SocketIO.Recovery = &socketio.Recovery{MaxDisconnection: set.Recovery}
	}
	if !config.IsOff(set.AdminAddr) {
		cfg.AdminAddr = set.AdminAddr
	}
	if set.RuntimeDir == "" { // else a supervisor has logged them already
		for _, warning := range loaded.Warnings {
			cfg.Log.Warn(warning)
		}
	}
	return cfg, nil
}

// inVariables makes errors that name fields of Config name the variables that FromEnv reads.
func inVariables(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range joined.Unwrap() {
			errs = append(errs, inVariables(e))
		}
		return errors.Join(errs...)
	}
	var wrong *fieldError
	if errors.As(err, &wrong) {
		return &config.ValueError{Variable: variables[wrong.field], Value: wrong.value, Rule: withVariables.Replace(wrong.rule)}
	}
	return err
}
