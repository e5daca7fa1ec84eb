package worker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/socketio"
)

// appEnv names the app that this test's program is when it runs as a worker.
const appEnv = "WORKER_TEST_APP"

// beApp runs the program as a worker, if the environment says so.
func beApp() {
	name := os.Getenv(appEnv)
	if name == "" {
		return
	}
	MainConfig(socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
		io.OnShutdown(func(context.Context) error { slog.Info("database closed"); return nil })
		io.OnShutdown(func(ctx context.Context) error {
			switch name {
			case "fails":
				return errors.New("queue not empty")
			case "hangs":
				slog.Info("hook hangs")
				<-context.WithoutCancel(ctx).Done()
			}
			slog.Info("queue flushed")
			return nil
		})
		io.Go(func(ctx context.Context) {
			slog.Info("job runs")
			<-ctx.Done()
			slog.Info("job done")
		})
		return nil
	})
}

// TestProcessEndsWithItsApp sends SIGTERM to real processes.
func TestProcessEndsWithItsApp(t *testing.T) {
	for _, c := range []struct {
		app    string
		second string // a second SIGTERM after this line
		code   int
		want   []string // the last messages, in order
	}{
		{"ends", "", 0, []string{"worker drains", "job done", "queue flushed", "database closed", "worker stopped"}},
		{"fails", "", config.ExitFailed, []string{"worker drains", "job done", "shutdown function failed", "database closed", "worker stopped"}},
		{"hangs", "", config.ExitFailed, []string{"worker drains", "job done", "hook hangs", "worker stopped"}},
		{"hangs", "hook hangs", config.ExitFailed, []string{"worker drains", "job done", "hook hangs"}},
	} {
		t.Run(c.app+" "+c.second, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			timeout := "1s"
			if c.second != "" {
				timeout = "10m"
			}
			cmd.Env = append(os.Environ(), appEnv+"="+c.app, "SIDEREAL_ADDR=127.0.0.1:0", "SIDEREAL_LOG_FORMAT=json", "SIDEREAL_SHUTDOWN_TIMEOUT="+timeout)
			out, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var said []string
			for lines := bufio.NewScanner(out); lines.Scan(); {
				_, message, found := strings.Cut(lines.Text(), `"message":"`)
				if !found {
					t.Errorf("a line without a message: %s", lines.Text())
				}
				message = strings.TrimSuffix(message, `"}`)
				said = append(said, message)
				ready := strings.Join(said, " ")
				if message == "worker ready" && strings.Contains(ready, "job runs") || message == "job runs" && strings.Contains(ready, "worker ready") ||
					c.second != "" && message == c.second {
					if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
						t.Error(err)
					}
				}
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if got := said[max(len(said)-len(c.want), 0):]; fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %q, want %q", said, c.want)
			}
		})
	}
}
