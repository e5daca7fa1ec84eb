package supervisor

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Spec says what to run at one place. The zero value of each field is how `sidereal up` treats its
// own processes.
type Spec struct {
	Name    string   // unique; names the process in logs and metrics
	Group   string   // what Reload replaces; empty: Name
	Command []string // program and arguments; the program is looked up in PATH
	Dir     string   // working directory; empty: the supervisor's
	Environ []string // the whole environment, in place of Config.Env; nil: Config.Env
	Env     []string // set over Environ
	User    *User    // nil: the supervisor's own

	// After names a place whose process must have been ready once before this one first starts.
	After string

	// Stage orders a shutdown. The supervisor stops a stage once all processes of lower stages have
	// ended. It doesn't wait for those that drain and whose spec Yields.
	Stage int

	// Yields says that once this process drains, the next stage needn't wait for its end. Nor does
	// its successor, if others told the process to stop.
	Yields bool

	// Listeners are sockets that the process inherits. It finds their descriptors in
	// SIDEREAL_LISTEN_FDS. The supervisor closes its own copies when it begins to stop.
	Listeners []*net.TCPListener

	// FatalCode is the exit code by which the process reports that a restart won't help. Zero:
	// none.
	FatalCode int

	// Manual leaves the place empty until Start is called for it.
	Manual bool

	// Single says that the place can't have two processes at a time: a reload ends the old one
	// first.
	Single bool

	// Unlined is for programs that know nothing of a line: they get none.
	Unlined bool

	// Agent ties the process to a process of another place that looks after it. Nil: none does.
	Agent *Agent

	Readiness Readiness
	Restart   RestartRule
	Stop      StopRule

	// AliveTimeout is how long a process that has beaten may be silent before the supervisor kills
	// it. Zero: any time.
	AliveTimeout time.Duration

	// FreezeTimeout is the same for a process that is found frozen: stopped, or stuck, and not for
	// want of a processor. It needs Linux, a process that beats by its line, and an AliveTimeout.
	// Zero: frozen processes have AliveTimeout.
	FreezeTimeout time.Duration

	// MemoryLimit is the resident memory, in bytes, above which the supervisor replaces the
	// process, as by a reload. Zero: no limit.
	MemoryLimit int64

	// Schedule says when the supervisor restarts, or starts, the place. Nil: never.
	Schedule interface{ Next(time.Time) time.Time }

	// Input gives the process an input that [Supervisor.Input] writes to. It stays open as long as
	// the process runs. Without Input the process reads end of file.
	Input bool

	// Stdout and Stderr get the output of the processes. One Write has one or more whole lines, or
	// a piece of a line that is long or pauses. During a reload two processes may write at a time.
	// A slow Write delays the process that wrote. If both are nil, the output goes to
	// Config.Output.
	Stdout, Stderr io.Writer
}

// User is the user that a process runs as.
type User struct {
	UID, GID uint32
	Groups   []uint32
}

func (u *User) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups, NoSetGroups: len(u.Groups) == 0 && os.Getuid() != 0}
}

// Readiness says when a process counts as ready. It always does once it, or its agent, has said so.
type Readiness struct {
	// AtStart is for programs that say nothing: they are ready once they run. A successor in a
	// reload has to give a sign nevertheless, unless its place is Single.
	AtStart bool

	// Settle is how long such a program must have run. Many that can't work end in their first
	// moments.
	Settle time.Duration

	// AfterLoad makes Settle begin when the agent reports that the process has loaded its code, or
	// end with Timeout, whichever is sooner. It is for programs that may take any time to read their
	// code on a busy machine, and may then turn out to be broken.
	AfterLoad bool

	// Timeout is when a process counts as ready without having said so. In a reload it holds only
	// if the old process never said so either: otherwise the successor must show that it works.
	// Zero: never.
	Timeout time.Duration

	// Probe is a URL that answers with a status below 400 once the process is ready. "{port}" in it
	// stands for the process's own port.
	Probe string
}

// RestartRule says what happens after a process has ended by itself.
type RestartRule struct {
	Never     bool  // the place stays empty
	StopCodes []int // exit codes of a wanted end: the place stays empty

	// Max ends a crash loop: the supervisor gives a place up ([Errored]) when its last Max
	// processes together lived for less than Max times MinUptime. Waits between them don't count.
	// Zero: never.
	Max       int
	MinUptime time.Duration

	// Delay is the wait before each restart, in place of the backoff.
	Delay time.Duration

	// Backoff is how waits grow. By default there is none after the first end, then 100 ms, doubled
	// each time up to 15 s, until a process has lived for 10 s.
	Backoff Backoff
}

// StopRule says how a process is asked to end.
type StopRule struct {
	Signal  syscall.Signal // 0: SIGTERM
	Message string         // JSON that the agent sends in place of the signal; empty: none
	Timeout time.Duration  // until SIGKILL; 0: Config.StopTimeout
	Tree    Tree
}

// Tree says what happens to the processes that a process has started.
type Tree int

const (
	// TreeAfter kills what is left of the process group once the process has ended.
	TreeAfter Tree = iota
	// TreeToo sends them the signal as well, and kills those that are left, even outside the group.
	TreeToo
	// TreeSpare leaves them alone.
	TreeSpare
)

func (s *Spec) group() string {
	if s.Group != "" {
		return s.Group
	}
	return s.Name
}

func (s *Spec) validate() error {
	switch {
	case s.Name == "":
		return fmt.Errorf("supervisor: a spec has no name")
	case len(s.Command) == 0:
		return fmt.Errorf("supervisor: %s has no command", s.Name)
	case s.Stop.Message != "" && (s.Agent == nil || s.Agent.Hook == nil):
		return fmt.Errorf("supervisor: %s has a stop message but no agent to send it", s.Name)
	}
	return nil
}
