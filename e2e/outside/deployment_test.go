package outside

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/router"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// patience is how long a broken test takes to fail.
const patience = 30 * time.Second

// app tells its clients which server they are on, and passes on what they say.
func app(server string) worker.App {
	return func(_ context.Context, io *socketio.Server) error {
		io.On("where", func(*socketio.Socket) (string, error) { return server, nil })
		// To everybody: the sharded form subscribes to a room's channel a moment after a client has
		// joined.
		io.On("say", func(_ *socketio.Socket, text string) error { return io.Emit("said", text) })
		return nil
	}
}

// run runs a part until the test ends.
func run(t *testing.T, name string, part func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(patience):
			t.Errorf("%s doesn't end", name)
		}
	})
}

// startWorker runs a worker of the app that registers in Redis.
func startWorker(t *testing.T, name string, cfg worker.Config) {
	t.Helper()
	cfg.Addr, cfg.HostName, cfg.ShutdownTimeout, cfg.Log = "127.0.0.1:0", name, time.Second, logger(t)
	run(t, name, func(ctx context.Context) error { return worker.Run(ctx, cfg, app(name)) })
}

// openDirectory runs a directory.
func openDirectory(t *testing.T, url string) *directory.Directory {
	t.Helper()
	dir, err := directory.Open(t.Context(), directory.Config{Redis: sidereal.Redis{URL: url}, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, "directory", dir.Run)
	return dir
}

// startRouter runs a router, and returns its URL once it knows so many workers that are ready.
func startRouter(t *testing.T, dir router.Directory, workers int) (url string) {
	t.Helper()
	r, err := router.New(router.Config{Directory: dir, Balance: "round-robin", ShutdownTimeout: time.Second, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "router", func(ctx context.Context) error { return r.Serve(ctx, l) })
	late := time.After(patience)
	for {
		changed := dir.Changed()
		if len(dir.Workers().Ready()) == workers {
			return "http://" + l.Addr().String()
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d workers are ready, want %d", len(dir.Workers().Ready()), workers)
		}
	}
}

// listener is a client that keeps what was said.
type listener struct {
	*client.Socket
	server string
	said   chan string
}

// connect connects a client, and returns it when its server has told its name.
func connect(t *testing.T, url string) *listener {
	t.Helper()
	c, err := client.New(client.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	l := &listener{Socket: c.Of("/"), said: make(chan string, 16)}
	l.On("said", func(text string) { l.said <- text })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := l.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	answer, err := l.EmitWithAck(ctx, "where")
	if err == nil {
		err = answer.Decode(0, &l.server)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// connectBoth connects a client to each of two servers, through the router at url.
func connectBoth(t *testing.T, url string) (one, other *listener) {
	t.Helper()
	one = connect(t, url)
	for range 10 {
		if other = connect(t, url); other.server != one.server {
			return one, other
		}
	}
	t.Fatalf("the router brings every client to %s", one.server)
	return nil, nil
}

// hears waits until a client has heard text.
func (l *listener) hears(t *testing.T, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case said := <-l.said:
			if said == text {
				return
			}
		case <-late:
			t.Fatalf("the client on %s doesn't hear %q", l.server, text)
		}
	}
}

// talk has each client tell the other something.
func talk(t *testing.T, one, other *listener) {
	t.Helper()
	for from, to := range map[*listener]*listener{one: other, other: one} {
		text := fmt.Sprintf("from %s", from.server)
		if err := from.Emit("say", text); err != nil {
			t.Fatal(err)
		}
		to.hears(t, text)
	}
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
