package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adminui"
)

// Main runs app as this process, with the server's defaults. It doesn't return: see [MainConfig].
func Main(app App) { MainConfig(socketio.Config{}, app) }

// MainConfig runs app as this process, and doesn't return. It reads the settings with [FromEnv] and
// calls [Run]. SIGTERM and SIGINT drain the worker, and a second signal ends the process at once.
// The exit code is 0 after a drain, 1 after a failure, and 2 for a wrong setting, which one line on
// standard error names. Unless the program has called slog.SetDefault, MainConfig makes the
// worker's log the default, so that lines of the app have its form. A program with deferred calls
// in its main function calls Run.
func MainConfig(cfg socketio.Config, app App) {
	err := main(cfg, app)
	if err != nil && !errors.As(err, new(*stopError)) { // which is logged
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), line)
		}
	}
	os.Exit(config.ExitCode(err))
}

// firstLog is the default log of a program that hasn't set one.
var firstLog = slog.Default()

func main(server socketio.Config, app App) error {
	cfg, err := FromEnv(Config{SocketIO: server})
	if err != nil {
		return err
	}
	if slog.Default() == firstLog {
		slog.SetDefault(cfg.Log)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keepHeap()
	lifeline.OnSignals(context.Background(), cancel, func() { os.Exit(config.ExitFailed) })
	return inVariables(Run(ctx, cfg, app))
}

// FromEnv returns the settings of code with those of the environment over them: the SIDEREAL_*
// variables, which docs/configuration.md lists, and a supervisor's. A variable that is set wins
// over a field of code, and a field of code wins over a variable's default. Log is made from the
// environment if code has none. The error has a line for each wrong value. FromEnv logs a warning
// for each SIDEREAL_* variable that it doesn't know.
func FromEnv(code Config) (Config, error) {
	return fromEnv(config.Source{Environ: os.Environ(), Terminal: config.Terminal(os.Stderr)}, code)
}

func fromEnv(src config.Source, cfg Config) (Config, error) {
	var set config.Worker
	loaded, err := config.Load(&set, src)
	if err != nil {
		return Config{}, err
	}
	isSet := func(variable string) bool { return loaded.Get(variable).Set() }
	fill(&cfg.Addr, set.Addr, isSet("SIDEREAL_ADDR"))
	fill(&cfg.Advertise, set.Advertise, isSet("SIDEREAL_ADVERTISE"))
	fill(&cfg.App, set.App.App, isSet("SIDEREAL_APP"))
	fill(&cfg.HostName, set.HostName, isSet("SIDEREAL_HOST_NAME"))
	fill(&cfg.DrainDelay, set.DrainDelay, isSet("SIDEREAL_DRAIN_DELAY"))
	fill(&cfg.DrainRate, set.DrainRate, isSet("SIDEREAL_DRAIN_RATE"))
	fill(&cfg.ShutdownTimeout, set.ShutdownTimeout, isSet("SIDEREAL_SHUTDOWN_TIMEOUT"))
	fill(&cfg.SocketIO.Path, set.Path, isSet("SIDEREAL_PATH"))
	fill(&cfg.SocketIO.PingInterval, set.PingInterval, isSet("SIDEREAL_PING_INTERVAL"))
	fill(&cfg.SocketIO.PingTimeout, set.PingTimeout, isSet("SIDEREAL_PING_TIMEOUT"))
	fill(&cfg.SocketIO.MaxHTTPBufferSize, int64(set.MaxMessageBytes), isSet("SIDEREAL_MAX_MESSAGE_BYTES"))
	if isSet("SIDEREAL_ADMIN_ADDR") {
		cfg.AdminAddr = set.AdminAddr
	}
	if config.IsOff(cfg.AdminAddr) {
		cfg.AdminAddr = ""
	}
	if set.RedisURL != "" {
		cfg.Redis = sidereal.Redis{
			URL: set.RedisURL, Username: set.RedisUsername, Password: set.RedisPassword,
			CAFile: set.RedisCAFile, CertFile: set.RedisCertFile, KeyFile: set.RedisKeyFile,
		}
	}
	if set.Adapter != "" || set.RedisURL != "" && cfg.Adapter.Form == nil && !cfg.MemoryAdapter {
		cfg.MemoryAdapter = set.Adapter == adapterenv.Memory
		cfg.Adapter = adapterenv.Config(set.Cluster)
	}
	if user, hash, ok := strings.Cut(set.AdminUI.AdminUI, ":"); ok {
		cfg.AdminUI = &adminui.Config{
			User: user, PasswordHash: hash, Production: set.AdminUIMode == "production", ReadOnly: set.AdminUIReadOnly == "on",
		}
	}
	if isSet("SIDEREAL_RECOVERY") {
		cfg.SocketIO.Recovery = recovery(cfg.SocketIO.Recovery, set.Recovery)
	}
	if cfg.Log == nil {
		process := "worker"
		if set.RuntimeDir != "" {
			process = fmt.Sprintf("worker-%d", set.Slot)
		}
		cfg.Log = set.Logger(os.Stderr, config.Color(os.Stderr), cfg.HostName, process)
	}
	cfg.supervised = supervision{dir: set.RuntimeDir, slot: set.Slot, fd: max(set.SupervisorFD, 0)}
	if set.RuntimeDir == "" { // else a supervisor has logged them already
		for _, warning := range loaded.Warnings {
			cfg.Log.Warn(warning)
		}
	}
	return cfg, nil
}

// fill replaces a field of code by a variable that is set, or that has a default for an empty
// field.
func fill[T comparable](field *T, variable T, set bool) {
	if set || *field == *new(T) {
		*field = variable
	}
}

// recovery is what code says, within another time. Zero turns recovery off.
func recovery(code *socketio.Recovery, within time.Duration) *socketio.Recovery {
	if within <= 0 {
		return nil
	}
	var r socketio.Recovery
	if code != nil {
		r = *code
	}
	r.MaxDisconnection = within
	return &r
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
