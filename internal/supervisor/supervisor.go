package supervisor

import (
	"context"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Supervisor runs the processes of a Config.
type Supervisor struct {
	cfg     Config
	env     []string
	metrics *metrics
	output  *output

	events    chan func()    // what the followers and callers want done by the loop
	over      chan struct{}  // closed when the loop has ended
	followers sync.WaitGroup // goroutines of processes and of OnExit

	// The loop's own.
	places   []*place
	running  map[*process]bool
	roll     *roll // the reload under way
	stopping bool
	stage    int
	deadline time.Time // of the stop
	orphans  bool      // the kernel gives us those of our children
	timers   map[*time.Timer]bool
	err      error // why the loop stopped by itself

	mu      sync.Mutex // guards what others read
	status  []Status
	changed chan struct{} // closed at the next change of status
}

// place is a Spec with the processes that serve it.
type place struct {
	spec     Spec
	current  *process // serving or about to; nil between two
	next     *process // in a reload: the successor, not ready yet
	backoff  backoff
	restarts int
	begun    bool // has been started once
	served   bool // has been ready once
}

// New checks a Config. It starts nothing.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	s := &Supervisor{
		cfg: cfg, env: cfg.Env,
		metrics: newMetrics(cfg.Metrics, cfg.Specs),
		events:  make(chan func()),
		over:    make(chan struct{}),
		running: map[*process]bool{},
		timers:  map[*time.Timer]bool{},
		changed: make(chan struct{}),
	}
	if s.env == nil {
		s.env = os.Environ()
	}
	s.output = &output{w: cfg.Output, cfg: &s.cfg}
	for _, spec := range cfg.Specs {
		s.places = append(s.places, &place{spec: spec})
	}
	s.publish()
	return s, nil
}

// Run starts the processes and keeps them running until ctx ends; then it stops them, stage by stage, and returns when the
// last has ended. An error is an ExitError or ErrKilled.
func (s *Supervisor) Run(ctx context.Context) error {
	runtime.LockOSThread() // until the children have ended: see start
	defer runtime.UnlockOSThread()
	orphans, ignore := adopted()
	defer ignore()
	s.orphans = orphans != nil
	s.startDue()
	s.publish()
	done := ctx.Done()
	for !s.stopping || len(s.running) > 0 {
		select {
		case f := <-s.events:
			f()
		case <-orphans:
			s.reapStrays()
		case <-done:
			done = nil
			s.stop()
		}
		s.publish()
	}
	close(s.over)
	for t := range s.timers {
		t.Stop()
	}
	s.closeListeners()
	s.followers.Wait()
	return s.err
}

// Kill ends all processes at once. Run then returns ErrKilled.
func (s *Supervisor) Kill() {
	s.post(func() {
		if len(s.running) > 0 {
			s.fail(ErrKilled)
		}
		for p := range s.running {
			p.stopping = true
			p.killGroup()
		}
		s.stop()
	})
}

// Signal sends a signal to the process of that name, if it runs. It returns at once.
func (s *Supervisor) Signal(name string, sig syscall.Signal) {
	s.post(func() {
		for _, pl := range s.places {
			if pl.spec.Name == name && pl.current != nil {
				pl.current.cmd.Process.Signal(sig)
			}
		}
	})
}

// Status returns a snapshot of all places, in the order of the Config.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Wait blocks until the status is as wanted, and returns ctx's error if that ends first.
func (s *Supervisor) Wait(ctx context.Context, wanted func([]Status) bool) error {
	for {
		s.mu.Lock()
		status, changed := s.status, s.changed
		s.mu.Unlock()
		if wanted(status) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// post has the loop call f. After the loop's end it does nothing.
func (s *Supervisor) post(f func()) {
	select {
	case s.events <- f:
	case <-s.over:
	}
}

// later has the loop call f after d.
func (s *Supervisor) later(d time.Duration, f func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.post(func() {
			delete(s.timers, t)
			f()
		})
	})
	s.timers[t] = true
	return t
}

// cancel takes back what later promised.
func (s *Supervisor) cancel(t *time.Timer) {
	t.Stop()
	delete(s.timers, t)
}

// startDue starts the places that have never been and wait for nothing any more.
func (s *Supervisor) startDue() {
	for _, pl := range s.places {
		if !pl.begun && !s.stopping && s.served(pl.spec.After) {
			pl.begun = true
			s.launch(pl)
		}
	}
}

func (s *Supervisor) served(name string) bool {
	if name == "" {
		return true
	}
	for _, pl := range s.places {
		if pl.spec.Name == name {
			return pl.served
		}
	}
	return false
}

// launch starts the process of an empty place.
func (s *Supervisor) launch(pl *place) {
	if s.stopping || pl.current != nil {
		return
	}
	p, err := s.start(pl)
	if err != nil {
		if pl.restarts == 0 {
			s.fail(&ExitError{Name: pl.spec.Name, Code: -1, Err: err})
			s.stop()
			return
		}
		wait := max(pl.backoff.next(0), firstWait)
		s.cfg.Log.Error().Str("process", pl.spec.Name).Err(err).Stringer("again_in", wait).Msg("process does not start")
		s.later(wait, func() { s.launch(pl) })
		return
	}
	pl.current = p
	s.running[p] = true
	s.cfg.Log.Debug().Str("process", pl.spec.Name).Int("pid", p.pid()).Msg("process started")
}

func (s *Supervisor) becameReady(p *process) {
	p.place.served = true
	s.cfg.Log.Debug().Str("process", p.place.spec.Name).Int("pid", p.pid()).Stringer("took", time.Since(p.started)).Msg("process ready")
	s.startDue()
	s.rollReady(p)
}

// ended takes a process out and, where it was to go on, starts the next.
func (s *Supervisor) ended(p *process, err error) {
	pl, exit := p.place, exitOf(p, err)
	delete(s.running, p)
	if p.kill != nil {
		p.kill.Stop()
	}
	if s.cfg.OnExit != nil {
		s.followers.Go(func() { s.cfg.OnExit(exit) })
	}
	log := s.cfg.Log.With().Str("process", pl.spec.Name).Int("pid", exit.PID).Str("cause", exit.Cause).Logger()
	switch {
	case exit.Planned:
		log.Debug().Msg("process stopped")
	case exit.Code != 0 && exit.Code == pl.spec.FatalCode:
		log.Debug().Msg("process cannot run")
		s.fail(&ExitError{Name: pl.spec.Name, Code: exit.Code})
		s.stop()
	default:
		pl.restarts++
		s.metrics.restarts.WithLabelValues(pl.spec.Name).Inc()
	}
	if pl.current == p {
		pl.current = nil
	}
	successor := pl.next == p
	switch {
	case successor:
		pl.next = nil
	case s.stopping || pl.current != nil:
	case pl.next != nil:
		pl.current, pl.next = pl.next, nil // the successor of a reload is on its way
	default:
		s.restart(p, exit)
	}
	s.rollEnded(p, successor, exit.Cause)
	s.advance()
	if s.orphans {
		s.reapStrays()
	}
}

// restart starts the process of a place again, at once or after a while.
func (s *Supervisor) restart(p *process, exit Exit) {
	pl := p.place
	wait := pl.backoff.next(time.Since(p.started))
	event := s.cfg.Log.Warn()
	if pl.backoff.looping() {
		event = s.cfg.Log.Error()
	}
	event = event.Str("process", pl.spec.Name).Int("pid", exit.PID).Str("cause", exit.Cause).Stringer("again_in", wait)
	if pl.backoff.looping() {
		event.Int("in_a_row", pl.backoff.failures).Msg("process keeps ending")
	} else {
		event.Msg("process ended")
	}
	if wait == 0 {
		s.launch(pl)
		return
	}
	s.later(wait, func() { s.launch(pl) })
}

// fail remembers why Run ends by itself; the first reason stays.
func (s *Supervisor) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// publish makes the loop's state visible.
func (s *Supervisor) publish() {
	status := make([]Status, len(s.places))
	for i, pl := range s.places {
		st := Status{Name: pl.spec.Name, Group: pl.spec.group(), State: Waiting, Restarts: pl.restarts}
		if p := pl.current; p != nil {
			st.State, st.PID, st.Started, st.Attrs = p.state(), p.pid(), p.started, p.attrs
		}
		status[i] = st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	close(s.changed)
	s.changed = make(chan struct{})
}
