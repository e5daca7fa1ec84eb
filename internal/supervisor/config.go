package supervisor

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// Config is what a supervisor is made from.
type Config struct {
	Specs []Spec // to begin with; Add brings more

	// Env is the whole environment of every child; nil: the supervisor's own.
	Env []string

	// Lasting supervisors go on when a process cannot be started or ended with its FatalCode: its place is [Errored]. Others
	// stop, and Run returns an ExitError.
	Lasting bool

	// StopTimeout is how long a process may take from SIGTERM to its end before it is killed, and all together when the
	// supervisor stops. 0: 35 s.
	StopTimeout time.Duration

	// ReadyTimeout is how long a successor may take to get ready in a reload before the reload is given up and the old
	// process stays. 0: 30 s.
	ReadyTimeout time.Duration

	// FirstID is the number by which agents know the first process that has one; each further process gets the next. 0: 1.
	FirstID int

	// Output gets the children's lines, one Write each; nil: none. Prefix puts the process' name before each (in color,
	// with Color). Without it, lines that are JSON objects pass unchanged and others are wrapped in one.
	Output io.Writer
	Prefix bool
	Color  bool

	// OnExit is told of every end of a process, in a goroutine of its own; Run waits for it to return.
	OnExit func(Exit)

	// OnListen is told that a process with an agent wants to be served at an address, as OnExit is, but one at a time and in order.
	OnListen func(name, addr string)

	// OnSilent is told, as OnListen is, that a process which is a worker has missed its beats for a
	// second, every second for as long as that lasts, and then that it beats again.
	OnSilent func(Silence)

	Log     zerolog.Logger
	Metrics prometheus.Registerer // nil: counted, not registered
}

func (c *Config) setDefaults() {
	if c.StopTimeout <= 0 {
		c.StopTimeout = 35 * time.Second
	}
	if c.ReadyTimeout <= 0 {
		c.ReadyTimeout = 30 * time.Second
	}
	if c.FirstID <= 0 {
		c.FirstID = 1
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
}

// check holds specs to each other and to the names that are taken.
func check(specs []Spec, taken func(string) bool) error {
	var errs []error
	names := map[string]bool{}
	for _, s := range specs {
		if err := s.validate(); err != nil {
			errs = append(errs, err)
		} else if names[s.Name] || taken(s.Name) {
			errs = append(errs, fmt.Errorf("supervisor: the name %q is taken", s.Name))
		}
		names[s.Name] = true
	}
	for _, s := range specs {
		if s.After != "" && !names[s.After] && !taken(s.After) {
			errs = append(errs, fmt.Errorf("supervisor: %s starts after %s, which does not exist", s.Name, s.After))
		}
		if s.Agent != nil && !names[s.Agent.Place] && !taken(s.Agent.Place) {
			errs = append(errs, fmt.Errorf("supervisor: %s has the agent %s, which does not exist", s.Name, s.Agent.Place))
		}
	}
	return errors.Join(errs...)
}
