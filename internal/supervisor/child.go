package supervisor

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// LineEnv is the variable in which a child finds the descriptor of its line.
const LineEnv = "SIDEREAL_SUPERVISOR_FD"

// firstFD is the first descriptor that a child inherits beside the standard ones.
const firstFD = 3

// lingering is how long the streams of an ended process may stay open, held by processes that escaped its group.
const lingering = 200 * time.Millisecond

// process is one incarnation at a place. Its fields belong to the loop, but those that say otherwise.
type process struct {
	place    *place
	spec     *Spec // by which it was started
	cmd      *exec.Cmd
	line     *lifeline.End // nil: none
	started  time.Time
	attrs    map[string]string
	ready    bool
	draining bool
	stopping bool
	kill     *time.Timer   // while stopping
	probing  chan struct{} // closed to end the readiness probe; nil: none

	id      int      // its agent's name for it; 0: it has no agent
	port    int      // of its own; 0: none
	agent   *process // which looks after it; nil: none does
	bond    Bond     // to its agent; nil: none
	input   *os.File // our end of its input; nil: it has none
	cut     bool     // its agent has ended: it ends, too, and that is no fault of its own
	leaving bool     // its agent moves its sessions away

	beat  atomic.Int64 // when it last said that it runs, as unix nanoseconds; 0: never. Anybody's
	every atomic.Int64 // nanoseconds between two of these. Anybody's

	silent bool // it has missed its beats, and others were told
	stuck  int  // looks in a row that found it frozen

	group  sync.Mutex // held where the group is killed or the process reaped
	reaped bool       // under group: the number may be another's by now
}

// start forks. The loop's thread must call it: Pdeathsig fires when the thread that forked ends.
func (s *Supervisor) start(pl *place, spec Spec) (_ *process, err error) {
	p := &process{place: pl, spec: &spec, attrs: map[string]string{}}
	in := inheritance{}
	defer in.close()
	if !spec.Unlined {
		if err := in.addLine(p); err != nil {
			return nil, err
		}
	}
	if err := in.addListeners(spec.Listeners); err != nil {
		return nil, p.unborn(err)
	}
	if spec.Agent != nil {
		if err := s.bind(p, &in); err != nil {
			return nil, p.unborn(err)
		}
	}
	if spec.Input {
		if err := in.addInput(p); err != nil {
			return nil, p.unborn(err)
		}
	}
	streams, err := in.addStreams(&spec)
	if err != nil {
		return nil, p.unborn(err)
	}
	p.cmd = s.command(&spec, &in)
	if err := p.cmd.Start(); err != nil {
		for _, r := range streams {
			r.Close()
		}
		return nil, p.unborn(err)
	}
	p.started = time.Now()
	s.watch(p, streams)
	return p, nil
}

// unborn closes what a process that does not start was to be bound by.
func (p *process) unborn(err error) error {
	return errors.Join(err, p.closeLine(), p.closeBond(), p.closeInput())
}

// command is what is to be executed.
func (s *Supervisor) command(spec *Spec, in *inheritance) *exec.Cmd {
	cmd := exec.Command(spec.Command[0], spec.Command[1:]...)
	cmd.Dir = spec.Dir
	cmd.Stdout, cmd.Stderr = in.stdout, in.stderr
	if in.stdin != nil {
		cmd.Stdin = in.stdin
	}
	cmd.ExtraFiles = in.files
	env := s.env
	if spec.Environ != nil {
		env = spec.Environ
	}
	cmd.Env = append(append(append([]string{}, env...), spec.Env...), in.env...)
	cmd.SysProcAttr = attributes(spec.User)
	return cmd
}

// inheritance is what a child gets at its birth. The supervisor's copies are closed when it has been born.
type inheritance struct {
	files                 []*os.File // from firstFD on
	env                   []string
	stdin, stdout, stderr *os.File // nil: nothing comes, nothing is kept
}

func (in *inheritance) close() {
	closeAll(in.files)
	for _, f := range []*os.File{in.stdin, in.stdout, in.stderr} {
		if f != nil {
			f.Close()
		}
	}
}

// add gives the child a file and tells its number there.
func (in *inheritance) add(f *os.File) int {
	in.files = append(in.files, f)
	return firstFD + len(in.files) - 1
}

func (in *inheritance) addLine(p *process) error {
	ours, theirs, err := lifeline.Pair()
	if err != nil {
		return fmt.Errorf("line: %w", err)
	}
	p.line = ours
	in.env = append(in.env, fmt.Sprintf("%s=%d", LineEnv, in.add(theirs)))
	return nil
}

func (in *inheritance) addListeners(listeners []*net.TCPListener) error {
	if len(listeners) == 0 {
		return nil
	}
	sockets, env, err := inherit(listeners, firstFD+len(in.files))
	if err != nil {
		return fmt.Errorf("listening socket: %w", err)
	}
	in.files = append(in.files, sockets...)
	in.env = append(in.env, env)
	return nil
}

// addStreams makes the pipes of the child's output, and returns our ends: one of both, or two.
func (in *inheritance) addStreams(spec *Spec) (ours []*stream, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	in.stdout, in.stderr = w, w
	if spec.Stdout == nil && spec.Stderr == nil {
		return []*stream{{File: r}}, nil
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	in.stderr = w2
	return []*stream{{File: r}, {File: r2}}, nil
}

// watch starts what follows a process: its output, its line, its end. The end is told last.
func (s *Supervisor) watch(p *process, streams []*stream) {
	for i, r := range streams {
		s.followers.Go(func() {
			defer r.Close()
			s.copyOutput(p.spec, i, r)
		})
	}
	read := make(chan struct{})
	s.followers.Go(func() {
		defer close(read)
		if p.line == nil {
			return
		}
		defer p.line.Close()
		p.line.Reports(func(key, value string) {
			if key == lifeline.Alive {
				p.every.Store(int64(lifeline.BeatEvery(value)))
				p.beat.Store(time.Now().UnixNano())
				return
			}
			s.post(func() { s.reported(p, key, value) })
		})
	})
	s.followers.Go(func() {
		err := p.reap()
		soon := time.Now().Add(lingering)
		if p.line != nil {
			p.line.SetReadDeadline(soon)
		}
		for _, r := range streams {
			r.endBy(soon)
		}
		<-read // all that it reported comes before its end
		s.post(func() { s.ended(p, err) })
	})
}

// copyOutput passes one stream of a process on: the first is its output, or all of it.
func (s *Supervisor) copyOutput(spec *Spec, number int, r *stream) {
	w := spec.Stdout
	if number == 1 {
		w = spec.Stderr
	}
	switch {
	case spec.Stdout == nil && spec.Stderr == nil:
		s.output.copy(spec.Name, r)
	case w == nil:
		_, _ = io.Copy(io.Discard, r) // ends with the process
	default:
		r.copyLines(w)
	}
}

// reported takes a line of a process.
func (s *Supervisor) reported(p *process, key, value string) {
	switch key {
	case lifeline.Child:
		s.agentReported(p, value)
		return
	case lifeline.Listen:
		s.agentListens(p, value)
		return
	}
	p.note(key, value)
	switch key {
	case lifeline.Ready:
		s.becameReady(p)
	case lifeline.Draining:
		p.draining = true
		s.replace(p)
		s.advance()
	}
}

// note keeps an attribute. The old map may be in a published Status.
func (p *process) note(key, value string) {
	p.attrs = maps.Clone(p.attrs)
	p.attrs[key] = value
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) state() State {
	switch {
	case p.stopping || p.draining:
		return Stopping
	case p.ready:
		return Ready
	}
	return Starting
}

func (p *process) closeLine() error {
	if p.line == nil {
		return nil
	}
	return p.line.Close()
}

// exitOf tells the end of a process from the error of its Wait.
func exitOf(p *process, err error) Exit {
	e := Exit{Name: p.spec.Name, Group: p.spec.group(), PID: p.pid(), Attrs: p.attrs, Planned: p.stopping}
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
