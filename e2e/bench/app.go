//go:build linux

package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/demo"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// The servers that this program can be.
const (
	roleApp  = "app"
	roleBare = "bare"
)

// deflateEnv, set to anything, turns permessage-deflate on, in bench-server.mjs too.
const deflateEnv = "BENCH_DEFLATE"

// collectSignal asks a server under test, Go or Node, to collect its garbage now.
const collectSignal = unix.SIGUSR2

// runApp is the demo app, as `sidereal worker` runs it, with one more event, `burst`.
func runApp() {
	collectWhenAsked()
	var cfg socketio.Config
	if os.Getenv(deflateEnv) != "" {
		cfg.PerMessageDeflate = &engineio.PerMessageDeflate{}
	}
	worker.MainConfig(cfg, func(ctx context.Context, io *socketio.Server) error {
		io.On("burst", burst)
		return demo.App(ctx, io)
	})
}

// burst emits n small events to the socket, one by one as an app would.
func burst(s *socketio.Socket, n int) error {
	for i := range n {
		if err := s.Emit("n", i); err != nil {
			return err
		}
	}
	return nil
}

func collectWhenAsked() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, collectSignal)
	go func() {
		for range asked {
			runtime.GC() // twice: what pools hold survives one
			debug.FreeOSMemory()
		}
	}()
}
