package supervisor

import (
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// lingering is how long the streams of an ended process may stay open, held by processes that
// escaped its group.
const lingering = 200 * time.Millisecond

// process is one process of a place, from its start to its end. Its fields belong to the loop,
// except those of pulse and group that say otherwise.
type process struct {
	sup     *Supervisor
	place   *place
	spec    *Spec // by which it was started
	cmd     *exec.Cmd
	line    *lifeline.End // nil: none
	input   *os.File      // our end of its input; nil: it has none
	started time.Time
	attrs   map[string]string

	readiness  readiness
	attachment attachment
	departure  departure
	pulse      pulse
	group      group
}

// start forks. The loop's thread must call it: Pdeathsig fires when the thread that forked ends.
func (pl *place) start(spec Spec) (*process, error) {
	p := &process{sup: pl.sup, place: pl, spec: &spec, attrs: map[string]string{}}
	p.readiness.p, p.attachment.p, p.departure.p = p, p, p
	in := inheritance{}
	defer in.close()
	streams, err := in.prepare(p)
	if err != nil {
		return nil, p.unborn(err)
	}
	p.cmd = p.command(&in)
	p.group = group{cmd: p.cmd, tree: spec.Stop.Tree}
	if err := p.cmd.Start(); err != nil {
		for _, r := range streams {
			r.Close()
		}
		return nil, p.unborn(err)
	}
	p.started = time.Now()
	p.watch(streams)
	return p, nil
}

// unborn closes our ends of what a process that doesn't start was to inherit.
func (p *process) unborn(err error) error {
	return errors.Join(err, p.closeLine(), p.attachment.close(), p.closeInput())
}

// command returns what to execute.
func (p *process) command(in *inheritance) *exec.Cmd {
	cmd := exec.Command(p.spec.Command[0], p.spec.Command[1:]...)
	cmd.Dir = p.spec.Dir
	cmd.Stdout, cmd.Stderr = in.stdout, in.stderr
	if in.stdin != nil {
		cmd.Stdin = in.stdin
	}
	cmd.ExtraFiles = in.files
	env := p.sup.env
	if p.spec.Environ != nil {
		env = p.spec.Environ
	}
	cmd.Env = append(append(append([]string{}, env...), p.spec.Env...), in.env...)
	cmd.SysProcAttr = attributes(p.spec.User)
	return cmd
}

// watch starts the goroutines that follow a process: its output, its line, its end. They report the
// end last.
func (p *process) watch(streams []*stream) {
	loop := p.sup.loop
	for i, r := range streams {
		loop.followers.Go(func() {
			defer r.Close()
			p.copyOutput(i, r)
		})
	}
	read := make(chan struct{})
	loop.followers.Go(func() {
		defer close(read)
		if p.line == nil {
			return
		}
		defer p.line.Close()
		p.line.Reports(func(key, value string) {
			if key == lifeline.Alive {
				p.pulse.beat(lifeline.BeatEvery(value))
				return
			}
			loop.post(func() { p.reported(key, value) })
		})
	})
	loop.followers.Go(func() {
		err := p.group.reap()
		soon := time.Now().Add(lingering)
		if p.line != nil {
			p.line.SetReadDeadline(soon)
		}
		for _, r := range streams {
			r.endBy(soon)
		}
		<-read // all of its reports come before its end
		loop.post(func() { p.ended(err) })
	})
}

// copyOutput passes on one stream of a process: 0 is its output, or all of it, 1 its errors.
func (p *process) copyOutput(number int, r *stream) {
	w := p.spec.Stdout
	if number == 1 {
		w = p.spec.Stderr
	}
	switch {
	case p.spec.Stdout == nil && p.spec.Stderr == nil:
		p.sup.output.copy(p.spec.Name, r)
	case w == nil:
		_, _ = io.Copy(io.Discard, r) // ends with the process
	default:
		r.copyLines(w)
	}
}

// began follows a process that has just been started.
func (p *process) began() {
	p.sup.running[p] = true
	p.sup.cfg.Log.Debug("process started", "process", p.spec.Name, "pid", p.pid())
	p.attachment.announce()
	p.readiness.await()
}

// runs reports whether the process hasn't ended yet.
func (p *process) runs() bool { return p.sup.running[p] }

// reported takes a line of the process.
func (p *process) reported(key, value string) {
	switch key {
	case lifeline.Child:
		wards{p}.reported(value)
		return
	case lifeline.Listen:
		wards{p}.listens(value)
		return
	}
	p.note(key, value)
	switch key {
	case lifeline.Ready:
		p.readiness.sign()
	case lifeline.Draining:
		p.departure.draining = true
		p.replace()
		p.sup.advance()
	}
}

// note keeps an attribute. It copies the map, which may be in a published Status.
func (p *process) note(key, value string) {
	p.attrs = maps.Clone(p.attrs)
	p.attrs[key] = value
}

// ended takes the process out of its place and, where the place goes on, starts the next one.
func (p *process) ended(err error) {
	s, pl, exit := p.sup, p.place, p.exit(err)
	delete(s.running, p)
	s.loop.cancel(p.departure.kill)
	p.closeInput()
	p.readiness.endProbe()
	if s.cfg.OnExit != nil {
		s.loop.followers.Go(func() { s.cfg.OnExit(exit) })
	}
	p.attachment.ended()
	wards{p}.lose()
	p.attachment.noteLoss()
	pl.last = &exit
	if exit.Planned || p.attachment.lost {
		s.cfg.Log.Debug("process stopped", "process", p.spec.Name, "pid", exit.PID, "cause", exit.Cause)
	} else {
		pl.restarts++
		pl.lives.add(time.Since(p.started))
		s.metrics.restarts.WithLabelValues(p.spec.Name).Inc()
	}
	successor := pl.next == p
	switch {
	case successor:
		pl.next = nil
	case pl.current != p: // the old one of a reload
	case pl.next != nil:
		pl.current, pl.next = pl.next, nil // the successor of a reload is on its way
	default:
		pl.current = nil
		pl.follow(p, exit)
	}
	if t := pl.turn; t != nil {
		t.ended(p, successor, exit.Cause)
	}
	s.advance()
	if s.orphans {
		s.reapStrays()
	}
}

// exit makes an Exit of the error that Wait returned.
func (p *process) exit(err error) Exit {
	e := Exit{Name: p.spec.Name, Group: p.spec.group(), PID: p.pid(), Attrs: p.attrs, Planned: p.departure.stopping}
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

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) state() State {
	switch {
	case p.departure.stopping || p.departure.draining:
		return Stopping
	case p.readiness.ready:
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
