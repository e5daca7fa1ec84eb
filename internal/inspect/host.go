package inspect

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	sampleEvery  = 5 * time.Second
	keptPoints   = 180             // 15 minutes
	freshFor     = time.Second     // that a sample serves other viewers, too
	childTimeout = 2 * time.Second // that a child may take for a sample
	mostMissed   = 3               // samples of a child that the history bridges
)

// HostConfig says what a Host answers for.
type HostConfig struct {
	// Self returns the sample of the supervisor.
	Self func() Sample
	// Children returns the processes that run now, and places without a process.
	Children func() []Child
	// Usage returns the resident bytes and the processor time of a process; zero if it has ended.
	Usage func(pid int) (memory int64, cpu time.Duration)
}

// Child is a process of a supervisor.
type Child struct {
	Process
	Socket   string // its admin socket; empty: it has none
	Carries  bool   // the socket also answers for other children: a node host
	Sessions int    // as the directory has them, for a process that doesn't answer

	State    string
	Restarts int
	LastEnd  string
}

// Host is a Source for all processes of this host. Run keeps its history.
type Host struct {
	cfg HostConfig

	sampling chan struct{} // a token for who asks the children

	mu       sync.Mutex // guards what follows
	children map[string]*child
	samples  []Sample // the last
	sampled  time.Time
	failed   error // of the children that didn't answer then
	silent   map[identity]bool
	past     map[identity]*past
	history  map[string]*points // by app; "" has the whole host
}

// identity is one process, and not its successor.
type identity struct {
	name string
	pid  int
}

func identityOf(p *Process) identity { return identity{p.Name, p.PID} }

// NewHost makes a Host. It asks nobody yet.
func NewHost(cfg HostConfig) *Host {
	return &Host{
		cfg: cfg, sampling: make(chan struct{}, 1), children: map[string]*child{}, silent: map[identity]bool{},
		past: map[identity]*past{}, history: map[string]*points{"": {}},
	}
}

// Run samples the children every 5 seconds until ctx ends. Points are due at multiples of that
// time, so that those of several hosts can be added up.
func (h *Host) Run(ctx context.Context) {
	for {
		due := time.Now().Truncate(sampleEvery).Add(sampleEvery)
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			h.close()
			return
		}
		samples, _ := h.sample(ctx, 0) // a child that doesn't answer has a gap
		if ctx.Err() == nil {
			h.remember(due, samples)
		}
	}
}

// close closes the connections to the children.
func (h *Host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.children {
		c.remote.Close()
	}
}

// sources are the children that answer, of one app or of all.
func (h *Host) sources(app string) (all []Source) {
	now := h.cfg.Children()
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for _, of := range now {
		if of.Socket == "" || of.PID == 0 {
			continue
		}
		seen[of.Name] = true
		c := h.children[of.Name]
		if c == nil || c.of.PID != of.PID || c.of.Socket != of.Socket {
			if c != nil {
				c.remote.Close()
			}
			c = &child{of, NewRemote("unix", of.Socket)}
			h.children[of.Name] = c
		}
		if app == "" || of.App == app {
			all = append(all, c)
		}
	}
	for name, c := range h.children {
		if !seen[name] {
			c.remote.Close()
			delete(h.children, name)
		}
	}
	return all
}

// Samples returns samples that are at most a second old.
func (h *Host) Samples(ctx context.Context) ([]Sample, error) { return h.sample(ctx, freshFor) }

// sample returns the last samples if they are younger than fresh, or else new ones.
func (h *Host) sample(ctx context.Context, fresh time.Duration) ([]Sample, error) {
	select {
	case h.sampling <- struct{}{}:
		defer func() { <-h.sampling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h.mu.Lock()
	samples, failed, age := h.samples, h.failed, time.Since(h.sampled)
	h.mu.Unlock()
	if samples != nil && age < fresh {
		return samples, failed
	}
	return h.look(ctx)
}

// look asks all children.
func (h *Host) look(ctx context.Context) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	sources := h.sources("")
	answers, errs := make([][]Sample, len(sources)), make([]error, len(sources))
	var asking sync.WaitGroup
	for i, s := range sources {
		asking.Go(func() { answers[i], errs[i] = s.Samples(ctx) })
	}
	asking.Wait()
	told := map[int]Sample{} // by pid
	carried := map[int]Sample{}
	for i, s := range sources {
		of := s.(*child).of
		for _, a := range answers[i] {
			if a.PID == of.PID {
				told[a.PID] = a
			} else if of.Carries {
				carried[a.PID] = a
			}
		}
	}
	var samples []Sample
	silent := map[identity]bool{}
	for _, c := range h.cfg.Children() {
		s, ok := told[c.PID]
		if !ok {
			s, ok = carried[c.PID]
		}
		if c.PID == 0 {
			s, ok = Sample{}, false
		}
		if !ok {
			s = Sample{At: time.Now(), Sessions: c.Sessions}
			silent[identityOf(&c.Process)] = c.Socket != ""
		}
		s.Process, s.State, s.Restarts, s.LastEnd = c.Process, c.State, c.Restarts, c.LastEnd
		if s.CPU == 0 && s.Memory == 0 && c.PID != 0 {
			s.Memory, s.CPU = h.cfg.Usage(c.PID)
		}
		samples = append(samples, s)
	}
	samples = append(samples, h.cfg.Self())
	err := errors.Join(errs...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.samples, h.sampled, h.failed, h.silent = samples, time.Now(), err, silent
	return samples, err
}

// History has the points of the whole host.
func (h *Host) History(context.Context) ([]Point, error) { return h.points(""), nil }

func (h *Host) points(app string) []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.history[app]; p != nil {
		return p.list()
	}
	return nil
}

// all joins the children of one app, or of all.
func (h *Host) all(app string) Source { return Join(func() []Source { return h.sources(app) }) }

func (h *Host) Namespaces(ctx context.Context) ([]Namespace, error) { return h.all("").Namespaces(ctx) }

func (h *Host) Rooms(ctx context.Context, q Query) (Page[Room], error) {
	return h.all("").Rooms(ctx, q)
}

func (h *Host) Clients(ctx context.Context, q Query) (Page[Client], error) {
	return h.all("").Clients(ctx, q)
}

func (h *Host) Ended(ctx context.Context, q Query) (Page[Ended], error) {
	return h.all("").Ended(ctx, q)
}

func (h *Host) Decisions(ctx context.Context, q Query) (Page[Decision], error) {
	return h.all("").Decisions(ctx, q)
}

func (h *Host) Tap(ctx context.Context, q Query, f func(Event)) error {
	return h.all("").Tap(ctx, q, f)
}

// App returns a Source for the processes of one app on this host. Samples of processes that the
// apps share are among its samples.
func (h *Host) App(app string) Source { return &appOfHost{h.all(app), h, app} }

type appOfHost struct {
	Source
	host *Host
	app  string
}

func (a *appOfHost) Samples(ctx context.Context) (mine []Sample, err error) {
	all, err := a.host.Samples(ctx)
	for _, s := range all {
		if s.App == a.app || s.App == "" {
			mine = append(mine, s)
		}
	}
	return mine, err
}

func (a *appOfHost) History(context.Context) ([]Point, error) { return a.host.points(a.app), nil }

// child asks a child. It may say what it likes, but not who it is.
type child struct {
	of     Child
	remote *Remote
}

var _ Source = (*child)(nil)

// sign says who a child is.
func (c *child) sign(p *Process) {
	if c.of.Carries && p.PID != c.of.PID {
		p.Host, p.App = c.of.Host, c.of.App
		return
	}
	*p = c.of.Process
}

func (c *child) Samples(ctx context.Context) ([]Sample, error) { return c.remote.Samples(ctx) }
func (c *child) History(context.Context) ([]Point, error)      { return nil, nil }

func (c *child) Namespaces(ctx context.Context) ([]Namespace, error) {
	return c.remote.Namespaces(ctx)
}

func (c *child) Rooms(ctx context.Context, q Query) (Page[Room], error) {
	return c.remote.Rooms(ctx, q)
}

func (c *child) Clients(ctx context.Context, q Query) (Page[Client], error) {
	p, err := c.remote.Clients(ctx, q)
	for i := range p.Rows {
		c.sign(&p.Rows[i].Process)
	}
	return p, err
}

func (c *child) Ended(ctx context.Context, q Query) (Page[Ended], error) {
	p, err := c.remote.Ended(ctx, q)
	for i := range p.Rows {
		c.sign(&p.Rows[i].Process)
	}
	return p, err
}

func (c *child) Decisions(ctx context.Context, q Query) (Page[Decision], error) {
	p, err := c.remote.Decisions(ctx, q)
	for i := range p.Rows {
		c.sign(&p.Rows[i].Process)
	}
	return p, err
}

func (c *child) Tap(ctx context.Context, q Query, f func(Event)) error {
	return c.remote.Tap(ctx, q, func(e Event) {
		c.sign(&e.Process)
		f(e)
	})
}
