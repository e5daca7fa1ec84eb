package adapter

import (
	"slices"
	"sync"
)

// Group is a set of clusters in one process whose servers reach each other by themselves, without Redis: over Redis they
// don't hear, ask or count each other. Its zero value is empty and ready. Safe for concurrent use.
type Group struct {
	mu      sync.RWMutex                   // guards the rest
	members map[string]map[string]struct{} // by namespace: the uids that are open
	uids    map[string]struct{}            // these, and those that were not long ago: their last messages are under way
	left    []string                       // uids that are not open any more, the oldest first
}

// remembered is of how many uids that have left a group knows.
const remembered = 4096

func (g *Group) add(namespace, uid string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.members == nil {
		g.members, g.uids = make(map[string]map[string]struct{}), make(map[string]struct{})
	}
	if g.members[namespace] == nil {
		g.members[namespace] = make(map[string]struct{})
	}
	g.members[namespace][uid] = struct{}{}
	g.uids[uid] = struct{}{}
}

func (g *Group) remove(namespace, uid string) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.members[namespace], uid)
	if len(g.members[namespace]) == 0 {
		delete(g.members, namespace)
	}
	if g.left = append(g.left, uid); len(g.left) > remembered {
		delete(g.uids, g.left[0])
		g.left = slices.Delete(g.left, 0, 1)
	}
}

// has tells whether a message from uid has come without Redis.
func (g *Group) has(uid []byte) bool {
	if g == nil {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.uids[string(uid)]
	return ok
}

// others are the members that have a namespace, but for one.
func (g *Group) others(namespace, uid string) (uids []string) {
	if g == nil {
		return nil
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	for other := range g.members[namespace] {
		if other != uid {
			uids = append(uids, other)
		}
	}
	return uids
}
