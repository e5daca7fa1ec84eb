package node

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Config says what a node host works for.
type Config struct {
	// App is the directory's app. Where a process listens on several ports, those behind the first are apps of their own, by
	// directory.PortApp.
	App string
	// Record is what the records of all workers have in common: Host, Addr, Path, Version, and the adapter's part, which must be
	// the same for all workers of the app.
	Record directory.Worker
	// RuntimeDir is where the handoff sockets go, and the preloaded script.
	RuntimeDir string

	// Conn is the Redis of the directory and of the adapters, run by the caller. Nil: nobody is to be reached by routers.
	Conn *redisconn.Conn
	// NewAdapter makes the adapter of one worker, by its slot, which is to be of the group. Nil: workers hear those of this
	// host alone.
	NewAdapter func(slot int, g *adapter.Group) (*adapter.Adapter, error)

	// DrainRate is how many sessions a draining worker moves elsewhere each second, or more where the time would not
	// do; zero: 100.
	DrainRate int
	// ShutdownTimeout is how long a drain may take: beyond it the supervisor ends the process. Zero: 35 s.
	ShutdownTimeout time.Duration
	// MaxFrame bounds a frame of a worker, in bytes; one that sends a longer one loses its channel. Zero: 64 MiB.
	MaxFrame int
	// MaxUnread bounds what waits for a worker that does not read, in bytes; beyond it the worker loses its channel. Zero:
	// 64 MiB.
	MaxUnread int

	// Report tells the supervisor, as lifeline.Line.ReportJSON does. It must not block for long.
	Report func(key string, value any) error

	Log zerolog.Logger
	// Metrics registers sidereal_nodehost_*, and sidereal_handoff_lost_total of all workers' endpoints; nil registers nothing.
	Metrics prometheus.Registerer
}

const (
	defaultDrainRate       = 100
	defaultShutdownTimeout = 35 * time.Second
	defaultMaxFrame        = 64 << 20
	defaultMaxUnread       = 64 << 20

	// listenTimeout is how long a supervisor may take to say that a port cannot be opened. One that does not answer is taken
	// to open it.
	listenTimeout = 250 * time.Millisecond
)

func (c Config) withDefaults() (Config, error) {
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
