package socketio

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
)

// pattern says which namespaces a parent makes.
type pattern struct {
	regexp *regexp.Regexp
	match  func(ctx context.Context, name string, auth json.RawMessage) bool
}

// OfRegexp returns a parent of namespaces. When a client asks for an unknown namespace whose name
// matches re, the server makes it, with the middlewares and handlers that the parent has at that
// time. Operations on the parent go to all its namespaces. Parents are tried in the order of their
// registration.
func (s *Server) OfRegexp(re *regexp.Regexp) *Namespace {
	return s.addParent(&pattern{regexp: re, match: func(_ context.Context, name string, _ json.RawMessage) bool {
		return re.MatchString(name)
	}})
}

// OfFunc is OfRegexp with a function that decides by the name and by the value that the client
// connects with. The function may block. Its context ends when the client leaves.
func (s *Server) OfFunc(match func(ctx context.Context, name string, auth json.RawMessage) bool) *Namespace {
	return s.addParent(&pattern{match: match})
}

func (s *Server) addParent(p *pattern) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := newNamespace(s, "", new(registry))
	n.pattern, n.children = p, make(map[string]*Namespace)
	s.parents = with(s.parents, n)
	return n
}

// each returns the namespace, or all namespaces that a parent made.
func (n *Namespace) each() []*Namespace {
	if n.pattern == nil {
		return []*Namespace{n}
	}
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	return slices.Collect(maps.Values(n.children))
}

// mayExist reports whether a client may ask for a namespace: it exists, or there are patterns.
func (s *Server) mayExist(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.namespaces[name] != nil || len(s.parents) > 0
}

// acquire returns a connecting socket's namespace, and makes it if a pattern allows. The namespace
// stays until release.
func (s *Server) acquire(socket *Socket) (*Namespace, error) {
	s.mu.Lock()
	if n := s.namespaces[socket.namespace]; n != nil {
		n.users++
		s.mu.Unlock()
		return n, nil
	}
	parents := s.parents
	s.mu.Unlock()
	auth := (&Handshake{Auth: socket.auth}).auth()
	for _, p := range parents {
		if p.pattern.match(socket.Context(), socket.namespace, auth) {
			return s.acquireChild(p, socket.namespace)
		}
	}
	return nil, nil
}

func (s *Server) acquireChild(parent *Namespace, name string) (*Namespace, error) {
	s.mu.Lock()
	n, made := s.namespaces[name], false
	if n == nil {
		var err error
		if n, err = s.addLocked(name, parent); err != nil {
			delete(s.namespaces, name)
			delete(parent.children, name)
			s.mu.Unlock()
			return nil, err
		}
		made = true
	}
	n.users++
	told := s.onNamespace
	s.mu.Unlock()
	if made {
		for _, f := range told {
			f(n)
		}
	}
	return n, nil
}

// release tells that a socket which acquired the namespace has ended.
func (n *Namespace) release() {
	s := n.server
	s.mu.Lock()
	n.users--
	unused := n.users == 0 && n.parent != nil && s.cfg.CleanupEmptyChildNamespaces
	if unused {
		delete(s.namespaces, n.name)
		delete(n.parent.children, n.name)
	}
	s.mu.Unlock()
	if unused && n.adapter != nil {
		if err := n.adapter.Close(); err != nil {
			s.cfg.Log.Warn("namespace left the cluster", "namespace", n.name, "error", err)
		}
	}
}
