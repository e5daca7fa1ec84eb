package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/socketio"
)

// Main runs an app as this process with Node's defaults, and does not return: see MainConfig.
func Main(app App) { MainConfig(socketio.Config{}, app) }

// MainConfig runs an app as this process: settings from the environment, SIGTERM and SIGINT drain it, a second one ends it
// at once. It exits with 0 after a drain, 1 when something failed, and 2, after one line, on a wrong setting.
func MainConfig(cfg socketio.Config, app App) {
	err := run(cfg, app)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(os.Stderr, "%s: %s\n", filepath.Base(os.Args[0]), line)
		}
	}
	os.Exit(config.ExitCode(err))
}

func run(cfg socketio.Config, app App) error {
	var set Settings
	loaded, err := config.Load(&set, config.Source{Environ: os.Environ(), Terminal: config.Terminal(os.Stderr)})
	if err != nil {
		return err
	}
	log := set.Logger(os.Stderr, config.Color(os.Stderr))
	switch {
	case set.RuntimeDir == "":
		for _, warning := range loaded.Warnings { // a supervisor has given them already
			log.Warn().Msg(warning)
		}
	case set.Format == "json": // in console lines the supervisor names the process
		log = log.With().Str("process", fmt.Sprintf("worker-%d", set.Slot)).Logger()
	}
	w, err := New(Config{SocketIO: cfg, Settings: set, Log: log}, app)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	keepHeap()
	lifeline.OnSignals(context.Background(), cancel, func() { os.Exit(config.ExitFailed) })
	return w.Run(ctx)
}
