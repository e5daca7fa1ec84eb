package link

import (
	"slices"
	"sync"
)

// Group is a set of links in one process whose servers reach each other without Redis, so they
// don't hear, ask or count each other over Redis. Its zero value is empty and ready. It is safe for
// concurrent use, and so is a nil Group.
type Group struct {
	mu      sync.RWMutex                   // guards the rest
	members map[string]map[string]struct{} // by namespace: the open uids
	uids    map[string]struct{}            // these and recently closed ones, whose last messages are under way
	left    []string                       // closed uids, oldest first
}

// remembered is the number of closed uids that a group keeps.
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

// has reports whether messages from uid also arrive without Redis.
func (g *Group) has(uid []byte) bool {
	if g == nil {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.uids[string(uid)]
	return ok
}

// others returns the members with a namespace, except uid.
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
