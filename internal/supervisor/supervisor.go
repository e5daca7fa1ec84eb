package supervisor

import (
	"context"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Supervisor runs the processes of a Config, and of what is added later.
type Supervisor struct {
	cfg     Config
	env     []string
	metrics *metrics
	output  *output

	events    chan func()    // what the followers and callers want done by the loop
	over      chan struct{}  // closed when the loop has ended
	followers sync.WaitGroup // goroutines of processes, of OnExit and OnListen

	// The loop's own.
	places   []*place
	running  map[*process]bool
	nextID   int
	stopping bool
	descents []*descent // stops under way
	orphans  bool       // the kernel gives us those of our children
	timers   map[*time.Timer]bool
	err      error         // why the loop stopped by itself
	told     chan struct{} // closed when the last call of tellInOrder has returned
	quiet    bool          // what was done just now changed no status
	looked   time.Time     // when, and how often, the loop looked whether processes are alive
	looks    int

	mu      sync.Mutex // guards what others read
	status  []Status
	changed chan struct{} // closed at the next change of status
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
		events:  make(chan func()),
		over:    make(chan struct{}),
		running: map[*process]bool{},
		nextID:  cfg.FirstID,
		timers:  map[*time.Timer]bool{},
		changed: make(chan struct{}),
	}
	if s.env == nil {
		s.env = os.Environ()
	}
	s.output = &output{w: cfg.Output, cfg: &s.cfg}
	for _, spec := range cfg.Specs {
		s.places = append(s.places, newPlace(spec))
	}
	s.publish()
	return s, nil
}

// Run starts the processes and keeps them running until ctx ends; then it stops them, stage by stage, and returns when the
// last has ended. An error is an ExitError or ErrKilled.
func (s *Supervisor) Run(ctx context.Context) error {
	keepDescriptors()
	runtime.LockOSThread() // until the children have ended: see start
	defer runtime.UnlockOSThread()
	orphans, ignore := adopted()
	defer ignore()
	s.orphans = orphans != nil
	watch := time.NewTicker(lookInterval)
	defer watch.Stop()
	for _, pl := range s.places {
		s.schedule(pl)
	}
	s.startDue()
	s.publish()
	done := ctx.Done()
	for !s.stopping || len(s.running) > 0 {
		s.quiet = false
		select {
		case f := <-s.events:
			f()
		case <-orphans:
			s.reapStrays()
		case now := <-watch.C:
			s.lookAfter(now)
		case <-done:
			done = nil
			s.stop()
		}
		if !s.quiet {
			s.publish()
		}
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
			p.killAll()
		}
		s.stop()
	})
}

// Status returns a snapshot of all places, in the order in which they were added. Nobody may change it.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Wait blocks until the status is as wanted, and returns ctx's error if that ends first, or ErrStopping when the supervisor
// has ended.
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
		case <-s.over:
			return ErrStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// post has the loop call f. After the loop's end it does nothing.
func (s *Supervisor) post(f func()) bool {
	select {
	case s.events <- f:
		return true
	case <-s.over:
		return false
	}
}

// ask has the loop call f and returns what that returns, once Status shows what it did.
func (s *Supervisor) ask(f func() error) error {
	result := make(chan error, 1)
	if !s.post(func() { result <- f() }) {
		return ErrStopping
	}
	s.post(func() { s.quiet = true }) // the loop takes it after it has published
	return <-result
}

// later has the loop call f after d.
func (s *Supervisor) later(d time.Duration, f func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.post(func() {
			if s.timers[t] {
				delete(s.timers, t)
				f()
			}
		})
	})
	s.timers[t] = true
	return t
}

// cancel takes back what later promised; nil is nothing.
func (s *Supervisor) cancel(t *time.Timer) {
	if t != nil {
		t.Stop()
		delete(s.timers, t)
	}
}

// find is the place of that name; nil: there is none.
func (s *Supervisor) find(name string) *place {
	i := slices.IndexFunc(s.places, func(pl *place) bool { return pl.spec.Name == name })
	if i < 0 {
		return nil
	}
	return s.places[i]
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
		status[i] = pl.status()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
	close(s.changed)
	s.changed = make(chan struct{})
}
