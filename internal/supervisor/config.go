package supervisor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config has the settings of a supervisor.
type Config struct {
	Specs []Spec // to begin with; Add adds more

	// Env is the whole environment of every child. Nil: the supervisor's own.
	Env []string

	// Lasting keeps the supervisor running when a process can't be started or ends with its
	// FatalCode: the place becomes [Errored]. Without it the supervisor stops, and Run returns an
	// ExitError.
	Lasting bool

	// StopTimeout is how long a process may take from SIGTERM to its end before the supervisor
	// kills it, and how long all may take together when the supervisor stops. Zero: 35 s.
	StopTimeout time.Duration

	// ReadyTimeout is how long a successor may take to get ready before the reload fails and the
	// old process stays. Zero: 30 s.
	ReadyTimeout time.Duration

	// FirstID is the number by which agents know the first process; each further one gets the next.
	// Zero: 1.
	FirstID int

	// Output gets the children's lines, one per Write. Nil: nobody. Prefix puts the process's name
	// before each line, in color with Color. Without Prefix, lines that are JSON objects pass
	// unchanged and others are wrapped in one.
	Output io.Writer
	Prefix bool
	Color  bool

	// Host is the name of the host in lines that the supervisor wraps.
	Host string

	// OnExit is called at each end of a process, in a goroutine of its own. Run waits for it.
	OnExit func(Exit)

	// OnListen is called when a process with an agent asks to be served at an address. The calls of
	// OnListen and OnSilent come one at a time and in order. Run waits for them.
	OnListen func(name, addr string)

	// OnMessage is called with a message of a process to its parent, as JSON, in the order in which
	// agents report them. It must not wait for anything.
	OnMessage func(name string, message json.RawMessage)

	// OnSilent is called when a process that is a worker has missed its beats for a second, again
	// every second while that lasts, and once when it beats again.
	OnSilent func(Silence)

	Log     *slog.Logger
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
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
}

// check validates specs, among themselves and against the names that are taken.
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
			errs = append(errs, fmt.Errorf("supervisor: %s starts after %s, which doesn't exist", s.Name, s.After))
		}
		if s.Agent != nil && !names[s.Agent.Place] && !taken(s.Agent.Place) {
			errs = append(errs, fmt.Errorf("supervisor: %s has the agent %s, which doesn't exist", s.Name, s.Agent.Place))
		}
	}
	return errors.Join(errs...)
}
