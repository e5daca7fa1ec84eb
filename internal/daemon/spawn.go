package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ReadyEnv is the variable in which a daemon that was started detached finds the descriptor over
// which it says how its start went.
const ReadyEnv = "DAEMON_READY_FD"

// readyFD is that descriptor.
const readyFD = "3"

// startTimeout is how long a daemon may take to answer. It opens files and a socket, on however
// busy a machine.
const startTimeout = 30 * time.Second

// Words that a starting daemon says. Anything else is why it could not.
const (
	saidReady   = "ready"
	saidRunning = "running" // another one is: use that
)

// Spawn says how to start a daemon.
type Spawn struct {
	Home    Home
	Command []string // program and arguments that call Run
	Env     []string // nil: this process' own
}

// Ensure returns the daemon of a home folder, which it starts detached from terminal and session if
// none runs; then started is true. The error of a daemon that did not start is a *Failure with what
// it said.
func Ensure(ctx context.Context, s Spawn) (c *Client, started bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := Connect(ctx, s.Home)
		if !errors.Is(err, ErrNotRunning) {
			return c, started, err
		}
		said, err := s.start(ctx)
		switch {
		case err != nil:
			return nil, false, err
		case said == saidReady:
			started = true
		case said == saidRunning: // it holds the lock, and answers in a moment
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return nil, false, &Failure{Code: 1, Text: fmt.Sprintf("a daemon holds %s and does not answer", s.Home.lockFile())}
			}
		default:
			return nil, false, &Failure{Code: exitCodeOf(said), Text: textOf(said)}
		}
	}
}

// start starts a daemon and returns the first that it says.
func (s Spawn) start(ctx context.Context) (said string, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("daemon: %w", err)
	}
	defer r.Close()
	log, err := os.OpenFile(s.Home.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		w.Close()
		return "", fmt.Errorf("daemon: its log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Dir = "/" // it may outlive the folder of the command
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{w}
	if cmd.Env = s.Env; cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, ReadyEnv+"="+readyFD, "SIDEREAL_HOME="+string(s.Home))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return "", fmt.Errorf("daemon: %w", err)
	}
	defer cmd.Process.Release() // init reaps it
	stop := context.AfterFunc(ctx, func() { r.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("daemon: no report from it: %w", ctx.Err())
		}
		return "", &Failure{Code: 1, Text: "the daemon ended at its start: see " + s.Home.Log()}
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// A daemon that cannot start says its exit code, and why, with line breaks as escapes.

func exitCodeOf(said string) int {
	if strings.HasPrefix(said, "2 ") {
		return 2
	}
	return 1
}

func textOf(said string) string {
	_, why, _ := strings.Cut(said, " ")
	return strings.ReplaceAll(why, `\n`, "\n")
}
