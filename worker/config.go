package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/buildinfo"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adminui"
)

// App sets up a server: handlers, middleware, pages. The worker calls it once, before the first
// connection, and is ready when it returns nil. An error ends the start. Its context ends when the
// worker has drained; goroutines that the App starts may use it.
type App func(ctx context.Context, io *socketio.Server) error

// Config says how a worker runs. Its zero value serves on port 8080 from memory.
type Config struct {
	// SocketIO configures the server. The worker sets Log, and the fields Adapter, NewSID and
	// Metrics where they are empty.
	SocketIO socketio.Config

	// Addr is the address that the worker listens on, "host:port" or ":port". Empty means ":8080".
	Addr string
	// Advertise is the address, "host:port", at which routers on other hosts reach the worker.
	// Empty means the local address of the connection to Redis with the port of Addr. Without Redis
	// the worker doesn't use it.
	Advertise string
	// AdminAddr is the address for health checks, metrics and the status page. Empty means none.
	AdminAddr string

	// Redis is the Redis that all processes of the app share. With an empty URL the worker runs
	// alone, in memory.
	Redis sidereal.Redis
	// App names the app. Apps on one Redis never see each other's sessions and workers. Empty means
	// "default".
	App string
	// HostName names this host in tables and logs. Empty means the host name of the system.
	HostName string
	// Version is shown to operators. Empty means the version of the program's main module.
	Version string

	// Adapter says how the server reaches the clients of other servers. The worker sets the
	// connection, and the fields Name, Version, Log and Metrics. Without Redis, or if
	// SocketIO.Adapter is set, the worker doesn't use it.
	Adapter adapter.Config
	// MemoryAdapter keeps rooms and broadcasts in this process although there is a Redis. Routers
	// still find the worker's sessions there.
	MemoryAdapter bool

	// AdminUI lets the official Admin UI of Socket.IO connect. The worker sets the fields Sessions,
	// if there is a Redis, and Log. Nil doesn't.
	AdminUI *adminui.Config

	// DrainDelay is how long a worker that was asked to stop reports that it isn't ready and still
	// serves, so that load balancers notice first. Zero means no delay. A supervised worker has
	// none.
	DrainDelay time.Duration
	// DrainRate is the number of sessions that a draining worker closes each second. A higher rate
	// ends the drain sooner and makes the clients reconnect in a steeper wave. The worker closes
	// more if ShutdownTimeout would not be enough. Zero means 100.
	DrainRate int
	// ShutdownTimeout limits the drain. The worker cuts off the sessions that remain. Zero means 35
	// seconds.
	ShutdownTimeout time.Duration

	// Log gets a line when the worker starts, is ready, drains and stops, and those of the server,
	// the adapter and the connection to Redis. Nil means slog.Default().
	Log *slog.Logger

	supervised supervision
}

// supervision is what a supervisor tells a worker that it started. Only FromEnv fills it.
type supervision struct {
	dir  string // the private folder of the host's sockets; empty: nobody supervises the worker
	slot int    // the worker's number on its host, from 1
	fd   int    // of the line to the supervisor; 0: there is none
}

// withDefaults fills empty fields and reports fields that can't work together.
func (c Config) withDefaults() (Config, error) {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.Addr = cmp.Or(c.Addr, ":8080")
	c.App = cmp.Or(c.App, "default")
	c.Version = cmp.Or(c.Version, buildinfo.Read().Version)
	c.DrainRate = cmp.Or(c.DrainRate, 100)
	c.ShutdownTimeout = cmp.Or(c.ShutdownTimeout, 35*time.Second)
	c.supervised.slot = cmp.Or(c.supervised.slot, 1)
	if c.HostName == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "localhost"
		}
		c.HostName = name
	}
	if c.SocketIO.Adapter != nil || c.Redis.URL != "" {
		return c, nil
	}
	switch {
	case c.Adapter.Form != nil && !c.MemoryAdapter:
		return c, &fieldError{"Adapter.Form", adapterenv.FormName(c.Adapter.Form), "needs Redis.URL"}
	case c.supervised.dir != "":
		return c, errors.New("worker: a supervised worker needs Redis.URL")
	}
	return c, nil
}
