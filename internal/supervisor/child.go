package supervisor

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// LineEnv is the variable in which a child finds the descriptor of its line.
const LineEnv = "SIDEREAL_SUPERVISOR_FD"

// lingering is how long the streams of an ended process may stay open, held by processes that escaped its group.
const lingering = 200 * time.Millisecond

// process is one incarnation at a place. Its fields belong to the loop.
type process struct {
	place    *place
	cmd      *exec.Cmd
	started  time.Time
	attrs    map[string]string
	ready    bool
	draining bool
	stopping bool
	kill     *time.Timer // set while stopping

	group  sync.Mutex // held where the group is killed or the process reaped
	reaped bool       // under group: the number may be another's by now
}

// start forks. The loop's thread must call it: Pdeathsig fires when the thread that forked ends.
func (s *Supervisor) start(pl *place) (*process, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, fmt.Errorf("line: %w", err)
	}
	defer theirs.Close()
	const firstFD = 3
	sockets, listenEnv, err := inherit(pl.spec.Listeners, firstFD+1)
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("listening socket: %w", err)
	}
	defer closeAll(sockets)
	out, in, err := os.Pipe()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	defer in.Close()

	cmd := exec.Command(pl.spec.Command[0], pl.spec.Command[1:]...)
	cmd.Stdout, cmd.Stderr = in, in
	cmd.ExtraFiles = append([]*os.File{theirs}, sockets...)
	cmd.Env = append(append([]string{}, s.env...), pl.spec.Env...)
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", LineEnv, firstFD))
	if len(sockets) > 0 {
		cmd.Env = append(cmd.Env, listenEnv)
	}
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		ours.Close()
		out.Close()
		return nil, err
	}
	p := &process{place: pl, cmd: cmd, started: time.Now(), attrs: map[string]string{}}
	s.watch(p, ours, out)
	return p, nil
}

// watch starts what follows a process: its output, its line, its end. The end is told last.
func (s *Supervisor) watch(p *process, line net.Conn, out *os.File) {
	read := make(chan struct{})
	s.followers.Go(func() {
		defer out.Close()
		s.output.copy(p.place.spec.Name, out)
	})
	s.followers.Go(func() {
		defer close(read)
		defer line.Close()
		lines := bufio.NewScanner(line)
		for lines.Scan() {
			if key, value, ok := strings.Cut(lines.Text(), "="); ok {
				s.post(func() { s.reported(p, key, value) })
			}
		}
	})
	s.followers.Go(func() {
		err := p.reap()
		soon := time.Now().Add(lingering)
		line.SetReadDeadline(soon)
		out.SetReadDeadline(soon)
		<-read // all that it reported comes before its end
		s.post(func() { s.ended(p, err) })
	})
}

// reported takes a line of a process.
func (s *Supervisor) reported(p *process, key, value string) {
	p.attrs = maps.Clone(p.attrs) // the old map may be in a published Status
	p.attrs[key] = value
	switch key {
	case lifeline.Ready:
		if !p.ready {
			p.ready = true
			s.becameReady(p)
		}
	case lifeline.Draining:
		p.draining = true
		s.advance()
	}
}

// terminate asks a process to stop, and kills it if it has not within d. Asking again changes nothing.
func (s *Supervisor) terminate(p *process, d time.Duration) {
	if p == nil || p.stopping {
		return
	}
	p.stopping = true
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.kill = time.AfterFunc(d, func() {
		s.post(func() {
			if s.running[p] {
				s.cfg.Log.Warn().Str("process", p.place.spec.Name).Int("pid", p.pid()).Stringer("after", d).Msg("did not stop: killed")
				p.killGroup()
			}
		})
	})
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// killGroup ends a process and all that it started. After the process' end it does nothing.
func (p *process) killGroup() {
	p.group.Lock()
	defer p.group.Unlock()
	p.killGroupLocked()
}

func (p *process) killGroupLocked() {
	if !p.reaped {
		syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
}

func (p *process) state() State {
	switch {
	case p.stopping || p.draining:
		return Stopping
	case p.ready:
		return Ready
	}
	return Starting
}

// exitOf tells the end of a process from the error of its Wait.
func exitOf(p *process, err error) Exit {
	e := Exit{Name: p.place.spec.Name, Group: p.place.spec.group(), PID: p.pid(), Attrs: p.attrs, Planned: p.stopping}
	var exit *exec.ExitError
	switch {
	case err == nil:
		e.Cause = "exit status 0"
	case errors.As(err, &exit):
		e.Code, e.Cause = exit.ExitCode(), exit.Error()
	default:
		e.Code, e.Cause = -1, err.Error()
	}
	return e
}

// socketpair makes a line: our end, and the child's.
func socketpair() (net.Conn, *os.File, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "line")
	f := os.NewFile(uintptr(fds[0]), "line")
	defer f.Close()
	ours, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
