package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// Host is the node host: it serves the processes of one app on one machine.
type Host struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	work sync.WaitGroup // everything that Run owns
	over chan struct{}  // closed when Run ends
	ear  ear

	promPatience time.Duration // how long a scrape waits for the processes' answers

	mu          sync.Mutex // guards the rest
	stopped     bool
	groups      map[groupKey]*group
	children    map[string]*child
	programs    map[string]*program
	directories map[string]*directory.Directory // by app
	endpoints   map[*endpoint]struct{}
	addrs       map[string]string // by app: how other hosts reach its endpoints
	ports       *ports

	numbers atomic.Int64 // of remotes
}

// New checks cfg and makes a Host. It starts nothing.
func New(cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Host{
		cfg: cfg, log: cfg.Log,
		children: make(map[string]*child), programs: make(map[string]*program),
		directories: make(map[string]*directory.Directory), endpoints: make(map[*endpoint]struct{}),
		addrs:        map[string]string{cfg.App: cfg.Record.Addr},
		groups:       make(map[groupKey]*group),
		over:         make(chan struct{}),
		promPatience: promPatience,
	}
	h.ports = newPorts(h)
	if h.metrics, err = newMetrics(cfg.Metrics, h.programSessions, h.Usages); err != nil {
		return nil, fmt.Errorf("node: register metrics: %w", err)
	}
	return h, nil
}

// Run serves until ctx ends, and returns when all of the host's goroutines have ended. It closes
// the channels, and cluster workers end with their channels.
func (h *Host) Run(ctx context.Context) error {
	h.work.Go(func() { h.watchServers(ctx) })
	<-ctx.Done()
	h.mu.Lock()
	h.stopped = true
	for _, c := range h.children {
		c.ch.close()
	}
	for _, p := range h.programs {
		p.stop()
	}
	h.mu.Unlock()
	close(h.over)
	h.work.Wait()
	h.ports.close()
	return nil
}

// Told takes a line of the supervisor. It doesn't block, and may be called before Run, but not
// concurrently. ctx is for the work that the line begins, and should end after Run.
func (h *Host) Told(ctx context.Context, t lifeline.Told) {
	var err error
	switch t.Key {
	case lifeline.Channel:
		err = h.toldChannel(ctx, t)
	case lifeline.Port:
		var p lifeline.PortTold
		if err = t.Decode(&p); err == nil {
			h.addProgram(ctx, p)
		}
	case lifeline.Exited:
		h.exited(t.Value)
	case lifeline.Drain:
		h.drain(ctx, t.Value)
	case lifeline.Send:
		err = h.toldSend(t)
	case lifeline.Overhear:
		err = h.ear.open(t.Value)
	case lifeline.Advertise:
		h.advertise(h.cfg.App, t.Value)
	case lifeline.Listened:
		var l lifeline.ListenedTold
		if err = t.Decode(&l); err == nil {
			h.toldListened(l)
		}
	}
	if err != nil {
		h.log.Error("unreadable line of the supervisor", "line", t.Key, "error", err)
	}
	if t.File != nil {
		t.File.Close() // a channel has a duplicate
	}
}

func (h *Host) toldChannel(ctx context.Context, t lifeline.Told) error {
	var told lifeline.ChannelTold
	if err := t.Decode(&told); err != nil {
		return err
	}
	id, err := strconv.ParseInt(told.ID, 10, 32)
	if err != nil || t.File == nil {
		return fmt.Errorf("process %q without a channel: %w", told.ID, err)
	}
	mode := ipc.JSON
	if told.Mode == string(ipc.Advanced) {
		mode = ipc.Advanced
	}
	ch, err := openChannel(t.File, mode, h.cfg.MaxUnread)
	if err != nil {
		return err
	}
	c := newChild(ctx, h, int(id), told, ch)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped || h.children[told.ID] != nil {
		c.end()
		ch.close()
		return nil
	}
	h.children[told.ID] = c
	h.metrics.children.Inc()
	h.work.Go(c.run)
	return nil
}

func (h *Host) child(id string) *child {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.children[id]
}

// exited handles the end of a process, which its channel may have shown already.
func (h *Host) exited(id string) {
	if c := h.child(id); c != nil {
		c.ch.close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.programs[id]; p != nil {
		p.stop()
		delete(h.programs, id)
	}
}

func (h *Host) toldSend(t lifeline.Told) error {
	var s lifeline.SendTold
	if err := t.Decode(&s); err != nil {
		return err
	}
	v, err := ipc.FromText(s.Message, nil)
	if err != nil {
		return err
	}
	if c := h.child(s.ID); c != nil {
		return c.ch.sendValue(v)
	}
	return nil
}

// advertise changes the address at which other hosts reach this one.
func (h *Host) advertise(app, addr string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.addrs[app] = addr
	for d := range h.endpoints {
		if d.app == app {
			d.tell(func(r *directory.Worker) { r.Addr = addr })
		}
	}
}

// toldListened takes the supervisor's answer about a port, which may have a router of its own.
func (h *Host) toldListened(l lifeline.ListenedTold) {
	if _, text, err := net.SplitHostPort(l.Addr); err == nil && l.Advertise != "" {
		if port, err := strconv.Atoi(text); err == nil {
			h.advertise(directory.PortApp(h.cfg.App, port), l.Advertise)
		}
	}
	h.ports.opened(l.Addr, l.Error)
}

// drain moves the sessions of a process elsewhere, and reports when they have left.
func (h *Host) drain(ctx context.Context, id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch c, p := h.children[id], h.programs[id]; {
	case h.stopped:
	case c != nil:
		h.work.Go(c.drain)
	case p != nil:
		h.work.Go(func() { p.drain(ctx) })
	}
}

// forget drops a child that has ended.
func (h *Host) forget(c *child) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.children[c.told.ID] == c {
		delete(h.children, c.told.ID)
		h.metrics.children.Dec()
	}
}

// groupKey names a group: workers of one generation, and the server's number with our adapter.
type groupKey struct {
	gen    generation
	server int
}

// group returns the group of a generation and a server.
func (h *Host) group(gen generation, server int) *group {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := groupKey{gen, server}
	if h.groups[key] == nil {
		h.groups[key] = newGroup()
	}
	return h.groups[key]
}

// groupList returns all groups.
func (h *Host) groupList() []*group {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.groups))
}

// start runs f in a goroutine that Run waits for. It returns false if Run has ended.
func (h *Host) start(f func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopped {
		h.work.Go(f)
	}
	return !h.stopped
}

// directory returns the directory of an app.
func (h *Host) directory(ctx context.Context, app string) (*directory.Directory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.directories[app]; d != nil {
		return d, nil
	}
	d, err := directory.Open(ctx, directory.Config{Conn: h.cfg.Conn, App: app, Log: h.log})
	if err != nil {
		return nil, err
	}
	h.directories[app] = d
	return d, nil
}

// report reports on a process to the supervisor.
func (h *Host) report(r lifeline.ChildReport) {
	if err := h.cfg.Report(lifeline.Child, r); err != nil {
		h.log.Debug("supervisor not told", "error", err) // the supervisor has ended, and this process will
	}
}
