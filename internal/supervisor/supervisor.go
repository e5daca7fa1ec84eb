package supervisor

import (
	"context"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// Supervisor runs the processes of a Config, and those that are added later.
type Supervisor struct {
	cfg     Config
	env     []string
	metrics *metrics
	output  *output
	loop    *loop
	board   board

	// The loop's own.
	places    []*place
	running   map[*process]bool
	shutdowns []*shutdown // under way
	lookout   lookout
	nextID    int
	stopping  bool
	orphans   bool  // the kernel makes the orphans among our descendants our children
	err       error // why the loop stopped by itself
}

// New checks a Config. It starts nothing.
func New(cfg Config) (*Supervisor, error) {
	cfg.setDefaults()
	if err := check(cfg.Specs, func(string) bool { return false }); err != nil {
		return nil, err
	}
	s := &Supervisor{
		cfg: cfg, env: cfg.Env,
		metrics: newMetrics(cfg.Metrics, cfg.Specs),
		loop:    newLoop(),
		board:   board{changed: make(chan struct{})},
		running: map[*process]bool{},
		nextID:  cfg.FirstID,
	}
	if s.env == nil {
		s.env = os.Environ()
	}
	s.output = &output{w: cfg.Output, cfg: &s.cfg}
	for _, spec := range cfg.Specs {
		s.places = append(s.places, newPlace(s, spec))
	}
	s.publish()
	return s, nil
}

// Run starts the processes and keeps them running until ctx ends. Then it stops them, stage by
// stage, and returns when the last one has ended. An error is an ExitError or ErrKilled.
func (s *Supervisor) Run(ctx context.Context) error {
	keepDescriptors()
	runtime.LockOSThread() // until the children have ended: see place.start
	defer runtime.UnlockOSThread()
	orphans, ignore := adopted()
	defer ignore()
	s.orphans = orphans != nil
	watch := time.NewTimer(lifeline.UntilBeat(time.Now()))
	defer watch.Stop()
	for _, pl := range s.places {
		pl.schedule()
	}
	s.startDue()
	s.publish()
	done := ctx.Done()
	for !s.stopping || len(s.running) > 0 {
		s.loop.quiet = false
		select {
		case f := <-s.loop.events:
			f()
		case <-orphans:
			s.reapStrays()
		case now := <-watch.C:
			watch.Reset(lifeline.UntilBeat(now))
			s.lookAfter(now)
		case <-done:
			done = nil
			s.stop()
		}
		if !s.loop.quiet {
			s.publish()
		}
	}
	s.loop.end()
	s.closeListeners()
	s.loop.followers.Wait()
	return s.err
}

// Kill ends all processes at once. Run then returns ErrKilled.
func (s *Supervisor) Kill() {
	s.loop.post(func() {
		if len(s.running) > 0 {
			s.fail(ErrKilled)
		}
		for p := range s.running {
			p.departure.killNow()
		}
		s.stop()
	})
}

// stop begins the end: the supervisor restarts nothing any more, lets no connection queue, and
// tells the lowest stage to stop.
func (s *Supervisor) stop() {
	if s.stopping {
		return
	}
	s.stopping = true
	for _, pl := range s.places {
		pl.leaveReload(ErrStopping)
	}
	s.closeListeners()
	s.shutDown(nil)
}

// closeListeners closes our copies of the inherited sockets. Once the children that serve them have
// closed theirs, the kernel refuses connections, and a load balancer goes elsewhere.
func (s *Supervisor) closeListeners() {
	for _, pl := range s.places {
		pl.closeListeners()
	}
}

// startDue starts the places that have never been started and wait for no other place.
func (s *Supervisor) startDue() {
	for _, pl := range s.places {
		if !pl.begun && !pl.gone && !s.stopping && s.served(pl.spec.After) {
			pl.begun = true
			pl.launch()
		}
	}
}

// served reports whether the process of a place has been ready once.
func (s *Supervisor) served(name string) bool {
	if name == "" {
		return true
	}
	pl := s.find(name)
	return pl != nil && pl.served
}

// find returns the place of that name; nil if there is none.
func (s *Supervisor) find(name string) *place {
	i := slices.IndexFunc(s.places, func(pl *place) bool { return pl.spec.Name == name })
	if i < 0 {
		return nil
	}
	return s.places[i]
}

// fail records why Run ends by itself; the first reason counts.
func (s *Supervisor) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// publish shows the loop's state to others.
func (s *Supervisor) publish() {
	status := make([]Status, len(s.places))
	for i, pl := range s.places {
		status[i] = pl.status()
	}
	s.board.set(status)
}

// Status returns a snapshot of all places, in the order in which they were added. The caller must
// not change it.
func (s *Supervisor) Status() []Status {
	status, _ := s.board.get()
	return status
}

// Wait blocks until wanted accepts the status. It returns ctx's error if ctx ends first, and
// ErrStopping if the supervisor has ended.
func (s *Supervisor) Wait(ctx context.Context, wanted func([]Status) bool) error {
	for {
		status, changed := s.board.get()
		if wanted(status) {
			return nil
		}
		select {
		case <-changed:
		case <-s.loop.over:
			return ErrStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// board holds the status that others read.
type board struct {
	mu      sync.Mutex
	status  []Status
	changed chan struct{} // closed at the next change
}

func (b *board) set(status []Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = status
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *board) get() (status []Status, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status, b.changed
}
