//go:build linux

package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

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

// runApp is the demo app, as `sidereal worker` runs it, with two more events, `burst` and
// `publish`.
func runApp() {
	collectWhenAsked()
	var cfg socketio.Config
	if os.Getenv(deflateEnv) != "" {
		cfg.PerMessageDeflate = &engineio.PerMessageDeflate{}
	}
	if os.Getenv(quietEnv) != "" {
		cfg.PingInterval = time.Hour
	}
	worker.MainConfig(cfg, func(ctx context.Context, io *socketio.Server) error {
		io.On("burst", burst)
		io.On("publish", func(n int) (bool, error) { return true, publish(io, n) })
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

// publish tells a room of other servers something n times.
func publish(io *socketio.Server, n int) error {
	data := struct {
		Msg string `json:"msg"`
	}{strings.Repeat("x", 128)}
	for range n {
		if err := io.To("elsewhere").Emit("said", data); err != nil {
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
