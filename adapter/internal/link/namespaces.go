package link

import (
	"fmt"
	"sync"
)

// namespaces are the open namespaces of this process.
type namespaces struct {
	mu     sync.RWMutex // guards the rest
	closed bool
	byName map[string]*Namespace
	byUID  map[string]*Namespace
}

// add adds n and calls opened, before another call can add or remove a namespace.
func (s *namespaces) add(n *Namespace, opened func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.byName[n.Name] != nil:
		return fmt.Errorf("%w: %s", ErrOpen, n.Name)
	}
	s.byName[n.Name] = n
	s.byUID[n.UID] = n
	opened()
	return nil
}

// remove takes n out and calls left, before another call can add or remove a namespace.
func (s *namespaces) remove(n *Namespace, left func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, n.Name)
	delete(s.byUID, n.UID)
	left()
}

// find returns the namespace of a name, or nil. It doesn't allocate.
func (s *namespaces) find(name []byte) *Namespace {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byName[string(name)]
}

// has reports whether a uid is that of one of the namespaces. It doesn't allocate.
func (s *namespaces) has(uid []byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byUID[string(uid)] != nil
}

// all returns the namespaces.
func (s *namespaces) all() []*Namespace {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Namespace, 0, len(s.byName))
	for _, n := range s.byName {
		all = append(all, n)
	}
	return all
}

// close makes add fail, and returns the namespaces.
func (s *namespaces) close() []*Namespace {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.all()
}
