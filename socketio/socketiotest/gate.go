package socketiotest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Times after which a server and its neighbours see faults on a Hub, as package adapter has them.
const (
	askPatience  = 5 * time.Second  // a question waits for other servers
	missedBeats  = 6 * time.Second  // a killed server is still known for
	keptMessages = 30 * time.Second // an isolated server keeps messages for
)

// hub links the servers of a test by a cluster.Hub, each behind a gate.
type hub struct{ *cluster.Hub }

func (h hub) open(testing.TB, *slog.Logger) member { return &gate{hub: h.Hub} }

// gate is the place of one server in a Hub. A test can shut it.
type gate struct {
	hub *cluster.Hub

	mu       sync.Mutex
	state    gateState
	inbound  []func()          // to do at Rejoin: what others said
	outbound []outbound        // and then, what this server said
	leases   map[*lease]bool   // open
	places   []cluster.Adapter // in the Hub
}

type gateState int

const (
	linked gateState = iota
	isolated
	killed
)

// outbound is something that an isolated server has said.
type outbound struct {
	at      time.Time
	expires bool
	say     func()
}

var _ cluster.Cluster = (*gate)(nil)

func (g *gate) cluster() cluster.Cluster { return g }

func (g *gate) settled(context.Context, *socketio.Server, int) error { return nil }

func (g *gate) hears(context.Context) (late bool, err error) { return false, nil }

func (g *gate) isolate(testing.TB) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == linked {
		g.freezeLocked()
		g.state = isolated
	}
}

func (g *gate) rejoin(testing.TB) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != isolated {
		return
	}
	for len(g.inbound)+len(g.outbound) > 0 { // more may come meanwhile
		in, out := g.inbound, g.outbound
		g.inbound, g.outbound = nil, nil
		g.mu.Unlock()
		for _, hear := range in {
			hear()
		}
		for _, o := range out {
			if !o.expires || time.Since(o.at) < keptMessages {
				o.say()
			}
		}
		g.mu.Lock()
	}
	g.state = linked
	for l := range g.leases {
		l.frozen = nil
	}
}

func (g *gate) kill() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == linked {
		g.freezeLocked()
	}
	g.state, g.inbound, g.outbound = killed, nil, nil
	time.AfterFunc(missedBeats, g.leave)
}

// leave takes the server out of the Hub.
func (g *gate) leave() {
	g.mu.Lock()
	places := g.places
	g.places = nil
	g.mu.Unlock()
	for _, a := range places {
		_ = a.Close() // a Hub's doesn't fail
	}
}

// freezeLocked notes the snapshots that the others can know from now on.
func (g *gate) freezeLocked() {
	for l := range g.leases {
		l.frozen = &frozen{at: time.Now()}
		l.frozen.Snapshot, l.frozen.known = l.Holder.Snapshot()
	}
}

// say does what this server says to the others: now, or at Rejoin. Nothing that a killed server
// says is heard.
func (g *gate) say(expires bool, f func()) {
	g.mu.Lock()
	switch g.state {
	case isolated:
		g.outbound = append(g.outbound, outbound{time.Now(), expires, f})
	case linked:
		g.mu.Unlock()
		f()
		return
	}
	g.mu.Unlock()
}

// hear does what another server says: now, or at Rejoin if it is kept, or never.
func (g *gate) hear(kept bool, f func()) {
	g.mu.Lock()
	switch {
	case g.state == isolated && kept:
		g.inbound = append(g.inbound, f)
	case g.state == linked:
		g.mu.Unlock()
		f()
		return
	}
	g.mu.Unlock()
}

func (g *gate) now() gateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// Open implements cluster.Cluster.
func (g *gate) Open(local cluster.Local) (cluster.Adapter, error) {
	p := &place{gate: g, local: local, own: make(map[*byte]bool)}
	a, err := g.hub.Open(heard{local, p})
	if err != nil {
		return nil, err
	}
	p.RecoveringAdapter = a.(cluster.RecoveringAdapter)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.places = append(g.places, a)
	return p, nil
}

// Run implements cluster.Cluster.
func (g *gate) Run(ctx context.Context) error { return g.hub.Run(ctx) }

// place is a namespace of a server behind a gate.
type place struct {
	cluster.RecoveringAdapter // the Hub's
	gate                      *gate
	local                     cluster.Local
	away                      atomic.Int64 // the longest MaxDisconnection; 0: recovery is off

	mu  sync.Mutex
	own map[*byte]bool // broadcasts that were delivered here before the log had them, by their text
}

func (p *place) Broadcast(b *cluster.Broadcast) error {
	p.gate.say(true, func() { _ = p.RecoveringAdapter.Broadcast(b) }) // a Hub's doesn't fail
	return nil
}

func (p *place) Order(o cluster.Order) (err error) {
	p.gate.say(true, func() { err = p.RecoveringAdapter.Order(o) })
	return err
}

func (p *place) Ask(ctx context.Context, q cluster.Question, answer func(cluster.Answer)) error {
	if p.gate.now() != linked {
		return adapter.ErrAway
	}
	if _, limited := ctx.Deadline(); !limited && q.Kind != cluster.AskClients {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askPatience)
		defer cancel()
	}
	return p.RecoveringAdapter.Ask(ctx, q, answer)
}

func (p *place) ServerCount(ctx context.Context) (int, error) {
	if p.gate.now() != linked {
		return 0, adapter.ErrAway
	}
	return p.RecoveringAdapter.ServerCount(ctx)
}

func (p *place) Close() error {
	if p.gate.now() == killed {
		return nil
	}
	return p.RecoveringAdapter.Close()
}

func (p *place) Recover(maxDisconnection time.Duration, maxBytes int, gone func(cluster.Snapshot)) cluster.Recoverer {
	p.away.Store(int64(maxDisconnection))
	tell := func(was cluster.Snapshot) {
		if p.gate.now() != killed {
			gone(was)
		}
	}
	return &recoverer{p.RecoveringAdapter.Recover(maxDisconnection, maxBytes, tell), p}
}

// heard is the namespace as the Hub sees it, from the other side of the gate.
type heard struct {
	cluster.Local
	at *place
}

func (h heard) Deliver(b *cluster.Broadcast) {
	if !h.at.isOwn(b) {
		h.at.gate.hear(h.at.recovers(), func() { h.Local.Deliver(b) })
	}
}

func (h heard) Apply(o cluster.Order) {
	h.at.gate.hear(h.at.recovers(), func() { h.Local.Apply(o) })
}

func (h heard) Answer(q cluster.Question, answer func(cluster.Answer)) {
	h.at.gate.hear(false, func() { h.Local.Answer(q, answer) })
}

func (p *place) recovers() bool { return p.away.Load() > 0 }

// isOwn reports whether b was delivered here while the server was isolated.
func (p *place) isOwn(b *cluster.Broadcast) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := &b.Data.JSON[0]
	was := p.own[text]
	delete(p.own, text)
	return was
}

// recoverer is a Recoverer behind a gate.
type recoverer struct {
	cluster.Recoverer
	place *place
}

// Emit delivers b here without an offset while the server is isolated. The log gets it at Rejoin.
func (r *recoverer) Emit(b *cluster.Broadcast) error {
	p := r.place
	switch p.gate.now() {
	case linked:
		return r.Recoverer.Emit(b)
	case isolated:
		p.gate.say(true, func() {
			p.mu.Lock()
			p.own[&b.Data.JSON[0]] = true
			p.mu.Unlock()
			_ = r.Recoverer.Emit(b) // a Hub's doesn't fail
		})
	}
	r.Recoverer.After(func() { p.local.Deliver(b) })
	return nil
}

func (r *recoverer) Begin(pid string, h cluster.Holder) cluster.Lease {
	l := &lease{gate: r.place.gate, place: r.place, Holder: h}
	l.Lease = r.Recoverer.Begin(pid, l)
	return l.open()
}

func (r *recoverer) Resume(ctx context.Context, pid, offset string, h cluster.Holder) (cluster.Snapshot, cluster.Lease, bool) {
	if r.place.gate.now() != linked {
		return cluster.Snapshot{}, nil, false
	}
	l := &lease{gate: r.place.gate, place: r.place, Holder: h}
	was, under, ok := r.Recoverer.Resume(ctx, pid, offset, l)
	if !ok {
		return was, nil, false
	}
	l.Lease = under
	return was, l.open(), true
}

// lease is a Lease, and the Holder that the Hub sees, behind a gate.
type lease struct {
	cluster.Lease
	cluster.Holder
	gate   *gate
	place  *place
	frozen *frozen // guarded by gate.mu; nil while the others can hear of changes
}

// frozen is what the others know of a socket.
type frozen struct {
	cluster.Snapshot
	known bool
	at    time.Time
}

// open notes the lease. A socket that connects to an isolated server is unknown to the others.
func (l *lease) open() *lease {
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	if l.gate.leases == nil {
		l.gate.leases = make(map[*lease]bool)
	}
	l.gate.leases[l] = true
	if l.gate.state != linked {
		l.frozen = new(frozen)
	}
	return l
}

func (l *lease) Snapshot() (cluster.Snapshot, bool) {
	l.gate.mu.Lock()
	was := l.frozen
	l.gate.mu.Unlock()
	if was != nil {
		s := was.Snapshot
		s.Rooms = slices.Clone(s.Rooms)
		return s, was.known && time.Since(was.at) <= time.Duration(l.place.away.Load())
	}
	return l.Holder.Snapshot()
}

func (l *lease) Displaced() { l.gate.hear(true, l.Holder.Displaced) }

func (l *lease) Left(was cluster.Snapshot) { l.close(func() { l.Lease.Left(was) }) }
func (l *lease) End()                      { l.close(l.Lease.End) }

func (l *lease) close(f func()) {
	l.gate.say(false, func() {
		l.gate.mu.Lock()
		delete(l.gate.leases, l)
		l.gate.mu.Unlock()
		f()
	})
}
