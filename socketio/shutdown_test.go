package socketio_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/socketio"
)

// diary notes what happens, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("got %q, want %q", d.lines, want)
	}
}

type key struct{}

// running starts a server. The result of Run arrives in the channel.
func running(t *testing.T, cfg socketio.Config) (*socketio.Server, chan error) {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- io.Run(context.WithValue(t.Context(), key{}, "of Run")) }()
	synctest.Wait()
	return io, done
}

func TestShutdownCallsFunctionsInReverseAfterTheLastGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var log bytes.Buffer
		io, err := socketio.New(socketio.Config{Log: slog.New(loghandler.New(&log, slog.LevelDebug))})
		if err != nil {
			t.Fatal(err)
		}
		io.Go(func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
			d.note("early job, value " + ctx.Value(key{}).(string))
		})
		io.OnShutdown(func(ctx context.Context) error { d.note("database"); return nil })
		io.OnShutdown(func(ctx context.Context) error { d.note("cache"); return errors.New("no room") })
		io.OnShutdown(func(ctx context.Context) error { d.note("mail"); panic("no stamp") })
		io.OnShutdown(func(ctx context.Context) error {
			deadline, ok := ctx.Deadline()
			d.note("queue, value " + ctx.Value(key{}).(string))
			if !ok || time.Until(deadline) != 9*time.Second {
				t.Errorf("deadline %v %v", deadline, ok)
			}
			io.OnShutdown(func(context.Context) error { d.note("added late"); return nil })
			return nil
		})
		done := make(chan error, 1)
		go func() { done <- io.Run(context.WithValue(t.Context(), key{}, "of Run")) }()
		synctest.Wait()
		io.Go(func(ctx context.Context) { panic("job") })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "of Shutdown"), 10*time.Second)
		defer cancel()
		if err := io.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		err = <-done
		if text := err.Error(); text != "socketio: shutdown: panic: no stamp\nsocketio: shutdown: no room" {
			t.Errorf("Run returned %q", text)
		}
		d.expect(t, "early job, value of Run", "queue, value of Shutdown", "added late", "mail", "cache", "database")
		for _, want := range []string{`"error":"no room"`, `"panic":"no stamp"`, `"panic":"job"`, "shutdown_test.go"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s: %s", want, log.String())
			}
		}
		io.Go(func(context.Context) { t.Error("a function of Go after the end") })
		synctest.Wait()
	})
}

func TestShutdownLeavesHangingFunctionsBehind(t *testing.T) {
	release := func(t *testing.T) chan struct{} {
		c := make(chan struct{})
		t.Cleanup(func() { close(c) })
		return c
	}
	shutdown := func(t *testing.T, io *socketio.Server) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return io.Shutdown(ctx)
	}
	t.Run("hook", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hang := release(t)
			io, done := running(t, socketio.Config{})
			io.OnShutdown(func(context.Context) error { t.Error("called after one that hangs"); return nil })
			io.OnShutdown(func(context.Context) error { <-hang; return nil })
			start := time.Now()
			if err := shutdown(t, io); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown returned %v", err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), "OnShutdown still runs") {
				t.Errorf("Run returned %v", err)
			}
			if took := time.Since(start); took != time.Minute {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("job", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hang := release(t)
			io, done := running(t, socketio.Config{Log: slog.New(slog.DiscardHandler)})
			io.Go(func(context.Context) { <-hang })
			if err := shutdown(t, io); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown returned %v", err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), "functions of Go still run") {
				t.Errorf("Run returned %v", err)
			}
		})
	})
}

func TestEndOfRunsContextCallsFunctionsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io, err := socketio.New(socketio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var d diary
		io.OnShutdown(func(ctx context.Context) error {
			d.note(ctx.Value(key{}).(string))
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "of Run"))
		done := make(chan error, 1)
		go func() { done <- io.Run(ctx) }()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.expect(t, "of Run")
	})
}

func TestShutdownBeforeRun(t *testing.T) {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := io.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := io.Run(t.Context()); err != nil {
		t.Error(err)
	}
}
