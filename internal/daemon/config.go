package daemon

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// Config is what a daemon is made from.
type Config struct {
	Home    Home
	Version string

	// Program runs this program: its subcommands `router`, `nodehost` and `redis` are what the
	// services run.
	Program []string

	// Environ is the environment of the services, with each app's settings in place of those it
	// has. Nil: this process' own.
	Environ []string

	Settings    config.Daemon
	AdminChosen bool // the operator named AdminAddr: it is used or the start fails
	// Shown are the settings by variable, secrets hidden, that Ping tells: a command compares its
	// own.
	Shown map[string]string

	// Apps are started at once, and a list that was saved is not: Run returns when none of them is
	// left (ErrIdle), or with what kept them from starting. For one that runs in the foreground.
	// Nil: nothing is started.
	Apps []pm2.App

	// Resurrect has the daemon start the saved list. Run returns with the reason if it can't.
	// Happened is told what happens meanwhile.
	Resurrect bool
	Happened  func(Event)

	// OwnLog gets the lines of routers, nodehosts and the embedded Redis, where there is no Output.
	// Nil: the standard error.
	OwnLog io.Writer

	// Output gets the lines of all processes beside their log files; nil: nothing. Prefix and Color
	// as in supervisor.Config.
	Output io.Writer
	Prefix bool
	Color  bool

	// Raw has the lines of the apps in Output as they are, whatever Prefix says.
	Raw bool

	// NoFiles turns log files off.
	NoFiles bool

	Log *slog.Logger

	idleInterval time.Duration // between looks whether anything of Apps is left; 0: 2 s, as PM2 has it
	settleTime   time.Duration // that programs which say nothing have to run to count as online; 0: 150 ms
}

// ErrIdle reports a daemon in the foreground that has nothing left to run.
var ErrIdle = errors.New("daemon: no process is left that runs")

// ErrRunning reports that another daemon owns the home folder.
var ErrRunning = errors.New("daemon: another one is running")

// idleChecks is how often in a row a daemon in the foreground finds nothing that runs before it
// gives up.
const idleChecks = 4

// RotationOf is what settings say of log files.
func RotationOf(set config.LogFiles) logfile.Rotation {
	return logfile.Rotation{MaxSize: int64(set.LogMaxMB) << 20, MaxAge: set.LogMaxAge, Keep: set.LogKeep}
}
