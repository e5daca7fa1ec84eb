package node

import (
	"sync"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// group is the workers of this host that speak the same generation, and with our adapter those that
// have a server of the same number. Each gets the messages of the others unchanged, as from Node's
// primary.
type group struct {
	adapters *adapter.Group

	mu      sync.RWMutex // guards the rest
	members map[int]*bridge
	owners  map[string]*bridge // by their namespaces' uids; not in the second generation
}

func newGroup() *group {
	return &group{adapters: new(adapter.Group), members: make(map[int]*bridge), owners: make(map[string]*bridge)}
}

func (g *group) join(b *bridge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[b.c.id] = b
}

// owns stores the worker of a uid.
func (g *group) owns(b *bridge, uid string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.owners[uid] == nil {
		g.owners[uid] = b
	}
}

// disowns notes that a worker's uids are gone.
func (g *group) disowns(b *bridge, uids ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, uid := range uids {
		if g.owners[uid] == b {
			delete(g.owners, uid)
		}
	}
}

func (g *group) leave(b *bridge) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.members, b.c.id)
}

// owner returns the worker that has a uid, or nil.
func (g *group) owner(uid string) *bridge {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.owners[uid]
}

func (g *group) member(id int) *bridge {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.members[id]
}

// all returns all members except one.
func (g *group) all(but *bridge) []*bridge {
	g.mu.RLock()
	defer g.mu.RUnlock()
	list := make([]*bridge, 0, len(g.members))
	for _, b := range g.members {
		if b != but {
			list = append(list, b)
		}
	}
	return list
}

// relay sends a frame of one member to the others. It skips workers with another serialization,
// which couldn't read the frame.
func (g *group) relay(from *bridge, f ipc.Frame) {
	for _, b := range g.all(from) {
		b.relay(from, f)
	}
}

func (b *bridge) relay(from *bridge, f ipc.Frame) {
	if b.c.ch.mode == from.c.ch.mode {
		_ = b.c.ch.send(f)
	}
}
