package supervisor

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Spec says what to run at one place. The zero value of each field is how `sidereal up` treats its own processes.
type Spec struct {
	Name    string   // unique; names the process in logs and metrics
	Group   string   // what Reload rolls; empty: Name
	Command []string // program and arguments; the program is looked up in PATH
	Dir     string   // working directory; empty: the supervisor's
	Environ []string // the whole environment, in place of Config.Env; nil: that
	Env     []string // set over Environ
	User    *User    // nil: the supervisor's own

	// After names a spec whose process must have been ready once before this one is first started; empty: at once.
	After string

	// Stage orders the stop: a stage is told to stop when all processes of the lower ones have ended, or only drain and
	// are of specs with Yields.
	Stage int

	// Yields says that the next stage needs not wait for this process to end once it reported that it is draining; nor does
	// its successor, where somebody else told it to stop.
	Yields bool

	// Listeners are inherited by the process, which finds their descriptors in SIDEREAL_LISTEN_FDS. The supervisor closes
	// its own copies when it begins to stop.
	Listeners []*net.TCPListener

	// FatalCode is the exit code by which the process says that a restart would not help. 0: none.
	FatalCode int

	// Manual leaves the place empty until Start is called for it.
	Manual bool

	// Single says that two processes of this place cannot run at a time: a reload ends the old one first.
	Single bool

	// Unlined is for programs that do not know of a line: they get none.
	Unlined bool

	// Agent binds the process to a process of another place that looks after it; nil: none does.
	Agent *Agent

	Readiness Readiness
	Restart   RestartRule
	Stop      StopRule

	// AliveTimeout is how long a process that has sent a beat may send none before it is killed, as one that hangs. 0: never.
	AliveTimeout time.Duration

	// FreezeTimeout is the same for a process that is found to be frozen: stopped, or stuck, and
	// not for want of a processor. It holds for processes that beat by a line, on Linux; 0, or an
	// AliveTimeout of 0: never.
	FreezeTimeout time.Duration

	// MemoryLimit has a process replaced, as by a reload, whose resident bytes are beyond it. 0: none.
	MemoryLimit int64

	// Schedule says when the place is restarted, or started; nil: never.
	Schedule interface{ Next(time.Time) time.Time }

	// Input gives the process an input that [Supervisor.Input] writes to, and that stays open as long as it runs. Without, it finds
	// the end of its input at once.
	Input bool

	// Stdout and Stderr get what the processes write, one Write for one or more whole lines, or for a piece of a line that is
	// long or pauses; two processes may write at a time during a reload. A slow Write holds up the process that wrote. Nil: both
	// go to Config.Output.
	Stdout, Stderr io.Writer
}

// User is whom a process runs as.
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

// Readiness says when a process counts as ready. It always does when it, or its agent, has said so.
type Readiness struct {
	// AtStart: as soon as it runs. Programs that say nothing have no other sign. A successor in a reload has to show one all the
	// same, unless its place is Single.
	AtStart bool

	// Settle is how long such a program must have run: many that can't work end in their first moments. 0: no time.
	Settle time.Duration

	// AfterBeat has Settle begin with the first beat that the agent reports, or end with Timeout, whichever is sooner: for
	// programs that may need any time to read their own code on a busy machine, and may then turn out to be broken.
	AfterBeat bool

	// Timeout is when it counts as ready without having said so; not so in a reload, whose successors must show that they
	// work. 0: never.
	Timeout time.Duration

	// Probe is a URL that answers with a status below 400 once the process is ready; "{port}" in it is its own port.
	Probe string
}

// RestartRule says what happens when a process has ended by itself.
type RestartRule struct {
	Never     bool  // the place stays empty
	StopCodes []int // exit codes that count as a wanted end: the place stays empty

	// Max bounds a crash loop: when the last Max processes together lived for less than Max times MinUptime, the place is given
	// up ([Errored]). Waits between them do not count. 0: never given up.
	Max       int
	MinUptime time.Duration

	// Delay is waited before each restart, in place of the backoff.
	Delay time.Duration

	// Backoff is how waits grow. Its zero value: none after the first end, then 100 ms doubled each time up to 15 s, until
	// a process lived for 10 s.
	Backoff Backoff
}

// StopRule says how a process is asked to end.
type StopRule struct {
	Signal  syscall.Signal // 0: SIGTERM
	Message string         // JSON, sent by the agent in place of the signal; empty: none
	Timeout time.Duration  // until SIGKILL; 0: Config.StopTimeout
	Tree    Tree
}

// Tree says what becomes of the processes that a process has started.
type Tree int

const (
	// TreeAfter kills what is left of the process group when the process has ended.
	TreeAfter Tree = iota
	// TreeToo sends them the signal, too, and kills what is left, also what has left the group.
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
		return fmt.Errorf("supervisor: %s is to be stopped by a message, and has no channel", s.Name)
	}
	return nil
}
