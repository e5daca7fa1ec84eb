package socketio

import (
	"slices"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/deaf"
)

func init() { deaf.Make = func(server any) { server.(*Server).deafen() } }

// deafen removes everything that the app has registered, for tests that kill a server.
func (s *Server) deafen() {
	s.mu.Lock()
	namespaces := slices.Clone(s.parents)
	for _, n := range s.namespaces {
		namespaces = append(namespaces, n)
	}
	s.onNamespace = nil
	s.mu.Unlock()
	for _, n := range namespaces {
		n.edit(func(r *registry) { *r = registry{} })
		for _, socket := range n.rooms.matching(nil, &cluster.Target{}) {
			socket.mu.Lock()
			if socket.extra != nil {
				socket.extra.events = nil
			}
			socket.mu.Unlock()
		}
	}
}
