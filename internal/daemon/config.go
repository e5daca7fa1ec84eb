package daemon

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// Config configures a daemon.
type Config struct {
	Home    Home
	Version string

	// Client has the files of the browser client, for Go programs that have none. Nil means none.
	Client fs.FS

	// Program is the command line of this program. Services run its subcommands `router`,
	// `nodehost` and `redis`.
	Program []string

	// Environ is the environment of the services; each app's settings replace its own. Nil means
	// this process's environment.
	Environ []string

	Settings    config.Daemon
	AdminChosen bool // the operator named AdminAddr: it is used or the start fails
	// Shown has the settings that Ping returns, by variable, with secrets hidden. Commands
	// compare them with their own.
	Shown map[string]string

	// Apps are started at once, instead of the saved list, for a daemon in the foreground. Run
	// returns ErrIdle when none of them runs any more, or the reason why they couldn't start. Nil
	// starts nothing.
	Apps []pm2.App

	// Resurrect makes the daemon start the saved list. Run returns the reason if it can't. It
	// calls Happened for each event.
	Resurrect bool
	Happened  func(Event)

	// OwnLog gets the lines of routers, node hosts and the embedded Redis if Output is nil. Nil
	// means the standard error.
	OwnLog io.Writer

	// Output gets the lines of all processes, beside their log files. Nil means none. Prefix and
	// Color are as in supervisor.Config.
	Output io.Writer
	Prefix bool
	Color  bool

	// Lines gets the apps' lines in place of Output, as their files would have them: with dates, for
	// example. It is called from many goroutines. Nil means that Output gets them.
	Lines func(LogLine)

	// Stay keeps a daemon in the foreground that has no running process left.
	Stay bool

	// NoFiles turns log files off.
	NoFiles bool

	Log *slog.Logger

	idleInterval time.Duration // between two such checks; 0: 2 s, as in PM2
	settleTime   time.Duration // after which a silent program counts as online; 0: 150 ms
}

// ErrIdle reports that a daemon in the foreground has no running process left.
var ErrIdle = errors.New("daemon: no process is running")

// ErrRunning reports that another daemon owns the home folder.
var ErrRunning = errors.New("daemon: another one is running")

// idleChecks is the number of checks in a row without a running process after which a daemon in
// the foreground ends.
const idleChecks = 4

// RotationOf returns the rotation that settings ask for.
func RotationOf(set config.LogFiles) logfile.Rotation {
	return logfile.Rotation{MaxSize: int64(set.LogMaxMB) << 20, MaxAge: set.LogMaxAge, Keep: set.LogKeep}
}
