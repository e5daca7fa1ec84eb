package worker

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/socketio"
)

// App sets a server up. It is called once, before the first connection, and must return; an error ends the start.
type App func(ctx context.Context, io *socketio.Server) error

// Settings are what the environment says, as docs/configuration.md describes it. Main reads them.
type Settings = config.Worker

// Config is what a worker is made from.
type Config struct {
	// SocketIO is how the server behaves. Path, NewSID, Adapter, Log and Metrics are the worker's where they are not set.
	SocketIO socketio.Config

	// Settings say where the process runs. Their zero value is not usable: take those of config.Load, as Main does.
	Settings Settings

	// Version is shown to operators. Empty: that of the main module.
	Version string

	Log zerolog.Logger
}

// validate checks what the rules of single settings cannot.
func (c *Config) validate() error {
	if c.SocketIO.Adapter != nil {
		return nil
	}
	switch s := c.Settings; {
	case s.Adapter != "memory" && s.Adapter != "" && s.RedisURL == "":
		return &config.ValueError{Variable: "SIDEREAL_ADAPTER", Value: s.Adapter, Rule: "needs SIDEREAL_REDIS_URL"}
	case s.RuntimeDir != "" && s.RedisURL == "":
		return errors.New("worker: a supervised worker needs SIDEREAL_REDIS_URL")
	}
	return nil
}

// mainVersion is the version of the program that this is built into.
func mainVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
