package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Spec says what to run at one place.
type Spec struct {
	Name    string   // unique; names the process in logs and metrics
	Group   string   // what Reload rolls; empty: Name
	Command []string // program and arguments; the program is looked up in PATH
	Env     []string // set over Config.Env

	// After names a spec whose process must have been ready once before this one is first started; empty: at once.
	After string

	// Stage orders the stop: a stage is told to stop when all processes of the lower ones have ended, or only drain and
	// are of specs with Yields.
	Stage int

	// Yields says that the next stage needs not wait for this process to end once it reported that it is draining.
	Yields bool

	// Listeners are inherited by the process, which finds their descriptors in SIDEREAL_LISTEN_FDS. The supervisor closes
	// its own copies when it begins to stop.
	Listeners []*net.TCPListener

	// FatalCode is the exit code by which the process says that a restart would not help: the supervisor stops and
	// returns an ExitError. 0: none.
	FatalCode int
}

func (s Spec) group() string {
	if s.Group != "" {
		return s.Group
	}
	return s.Name
}

// Config is what a supervisor is made from.
type Config struct {
	Specs []Spec

	// Env is the whole environment of every child; nil: the supervisor's own.
	Env []string

	// StopTimeout is how long a process may take from SIGTERM to its end before it is killed, and all together when the
	// supervisor stops. 0: 35 s.
	StopTimeout time.Duration

	// ReadyTimeout is how long a successor may take to get ready in a reload before the reload is given up and the old
	// process stays. 0: 30 s.
	ReadyTimeout time.Duration

	// Output gets the children's lines, one Write each; nil: none. Prefix puts the process' name before each (in color,
	// with Color). Without it, lines that are JSON objects pass unchanged and others are wrapped in one.
	Output io.Writer
	Prefix bool
	Color  bool

	// OnExit is told of every end of a process, in a goroutine of its own; Run waits for it to return.
	OnExit func(Exit)

	Log     zerolog.Logger
	Metrics prometheus.Registerer // nil: counted, not registered
}

func (c *Config) setDefaults() error {
	if c.StopTimeout <= 0 {
		c.StopTimeout = 35 * time.Second
	}
	if c.ReadyTimeout <= 0 {
		c.ReadyTimeout = 30 * time.Second
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	names := map[string]bool{}
	var errs []error
	for _, s := range c.Specs {
		if s.Name == "" || names[s.Name] {
			errs = append(errs, fmt.Errorf("supervisor: the name %q is empty or taken", s.Name))
		}
		if len(s.Command) == 0 {
			errs = append(errs, fmt.Errorf("supervisor: %s has no command", s.Name))
		}
		names[s.Name] = true
	}
	for _, s := range c.Specs {
		if s.After != "" && !names[s.After] {
			errs = append(errs, fmt.Errorf("supervisor: %s starts after %s, which does not exist", s.Name, s.After))
		}
	}
	return errors.Join(errs...)
}

// State is where a process stands in its life.
type State string

// The states, in the order of a life. Waiting is a place without a process: before its first start or between two.
const (
	Waiting  State = "waiting"
	Starting State = "starting"
	Ready    State = "ready"
	Stopping State = "stopping"
)

// Status is one place as it is now.
type Status struct {
	Name     string            `json:"name"`
	Group    string            `json:"group"`
	State    State             `json:"state"`
	PID      int               `json:"pid,omitempty"`
	Started  time.Time         `json:"started,omitzero"` // of the process
	Restarts int               `json:"restarts"`         // unplanned ends, all of them
	Attrs    map[string]string `json:"attrs,omitempty"`  // what the process reported; never changed once published
}

// Exit is the end of a process.
type Exit struct {
	Name    string
	Group   string
	PID     int
	Attrs   map[string]string // what it had reported
	Cause   string            // "exit status 1", "signal: killed"
	Code    int               // -1: ended by a signal
	Planned bool              // it had been told to stop
}

// ExitError ends a supervisor because of a process that a restart would not help, or that could not be started at all.
type ExitError struct {
	Name string
	Code int   // of the process; -1: it did not start
	Err  error // why it did not start
}

func (e *ExitError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("%s ended with code %d", e.Name, e.Code)
}

func (e *ExitError) Unwrap() error { return e.Err }

// ErrKilled reports that Kill ended the processes before they had stopped by themselves.
var ErrKilled = errors.New("supervisor: killed before all processes had stopped")
