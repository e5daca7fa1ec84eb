package node

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Config has the settings of a node host.
type Config struct {
	// App is the app of the directory. If a process listens on several ports, each port after the
	// first is an app of its own, by directory.PortApp.
	App string
	// Record has the fields that all workers' records share: Host, Addr, Path, Version, and the
	// adapter's part, which must be the same for all workers of the app.
	Record directory.Worker
	// RuntimeDir is the folder of the handoff sockets and of the preload script.
	RuntimeDir string

	// Conn is the Redis of the directory and of the adapters, which the caller runs. Nil: routers
	// reach no process.
	Conn *redisconn.Conn
	// NewAdapter makes the adapter of one worker, by its slot, as a member of the group. Server is the
	// number of the Socket.IO server that got our adapter, from 1; zero is for cluster-adapter, whose
	// messages name no server. Nil: workers hear only those of this host.
	NewAdapter func(slot, server int, g *adapter.Group) (*adapter.Adapter, error)

	// DrainRate is how many sessions a draining worker moves elsewhere each second. The host moves
	// more if ShutdownTimeout would end too soon. Zero: 100.
	DrainRate int
	// ShutdownTimeout is how long a drain may take before the supervisor ends the process. Zero: 35 s.
	ShutdownTimeout time.Duration
	// MaxFrame limits a frame of a worker, in bytes. A worker that sends a longer one loses its
	// channel. Zero: 64 MiB.
	MaxFrame int
	// MaxUnread limits the bytes that wait for a worker that doesn't read. Beyond it the worker loses
	// its channel. Zero: 64 MiB.
	MaxUnread int

	// Report tells the supervisor, as lifeline.Line.ReportJSON does. It must not block for long.
	Report func(key string, value any) error

	Log *slog.Logger
	// Metrics registers sidereal_nodehost_*, and sidereal_handoff_lost_total of all endpoints. Nil
	// registers nothing.
	Metrics prometheus.Registerer
}

const (
	defaultDrainRate       = 100
	defaultShutdownTimeout = 35 * time.Second
	defaultMaxFrame        = 64 << 20
	defaultMaxUnread       = 64 << 20

	// listenTimeout is how long a supervisor may take to report that it can't open a port. Without an
	// answer the port counts as open.
	listenTimeout = 250 * time.Millisecond
)

func (c Config) withDefaults() (Config, error) {
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.DrainRate <= 0 {
		c.DrainRate = defaultDrainRate
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = defaultShutdownTimeout
	}
	if c.MaxFrame == 0 {
		c.MaxFrame = defaultMaxFrame
	}
	if c.MaxUnread == 0 {
		c.MaxUnread = defaultMaxUnread
	}
	var errs []error
	if c.Report == nil {
		errs = append(errs, errors.New("node: Config needs a Report"))
	}
	if c.RuntimeDir == "" {
		errs = append(errs, errors.New("node: Config needs a RuntimeDir, which a supervisor makes"))
	}
	return c, errors.Join(errs...)
}
