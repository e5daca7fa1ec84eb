package supervisor

import (
	"errors"
	"fmt"
	"time"
)

// State is where a process stands in its life.
type State string

// The states, in the order of a life. The last three are of places without a process.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Stopping State = "stopping"
	Waiting  State = "waiting" // before its first start, or between two processes
	Stopped  State = "stopped" // by command, or by an end that was wanted
	Errored  State = "errored" // given up
)

// Status is one place as it is now.
type Status struct {
	Name     string            `json:"name"`
	Group    string            `json:"group"`
	State    State             `json:"state"`
	PID      int               `json:"pid,omitempty"`
	ID       string            `json:"id,omitempty"`     // its agent's name for it
	Port     int               `json:"port,omitempty"`   // of its own
	Started  time.Time         `json:"started,omitzero"` // of the process that runs, else of the last
	Again    time.Time         `json:"again,omitzero"`   // when the next one is due; zero: none is
	Starts   int               `json:"starts"`           // processes so far, failed starts included
	Restarts int               `json:"restarts"`         // unplanned ends, all of them
	Renewed  int               `json:"renewed"`          // planned ends that no command asked for: by the clock, for memory, at the process's request
	Unstable int               `json:"unstable"`         // of the last Restart.Max processes, how many lived for less than MinUptime
	Attrs    map[string]string `json:"attrs,omitempty"`  // what the process reported; never changed once published
	Last     *Exit             `json:"-"`                // the last end of a process here; nil: none yet
	Reason   string            `json:"reason,omitempty"` // of Errored
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

// ExitError reports the process that ended a supervisor: a restart would not have helped it, or it
// could not be started at all.
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

// Errors of commands.
var (
	// ErrKilled reports that Kill ended the processes before they had stopped by themselves.
	ErrKilled = errors.New("supervisor: killed before all processes had stopped")
	// ErrStopping reports a command to a supervisor that is stopping, or has stopped.
	ErrStopping = errors.New("supervisor: stopping")
	// ErrReloading reports that a reload of the place is under way.
	ErrReloading = errors.New("supervisor: a reload is under way")
	// ErrNoPlace reports an unknown name.
	ErrNoPlace = errors.New("supervisor: no such place")
	// ErrNoInput reports text for a process without an input.
	ErrNoInput = errors.New("supervisor: the process has no input")
	// ErrNoChannel reports a message for a process that can't receive any.
	ErrNoChannel = errors.New("supervisor: the process has no channel")
)

// ReloadError reports a failed reload: the place and those after it kept their old processes.
type ReloadError struct {
	Name  string
	Cause string
	Done  int // how many places had been renewed before
}

func (e *ReloadError) Error() string { return fmt.Sprintf("%s: %s", e.Name, e.Cause) }
