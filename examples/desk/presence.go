package main

import (
	"context"
	"errors"
	"slices"

	"github.com/sidereal-io/sidereal/socketio"
)

// present lists the agents that are connected to any host, each once. A host that has just died
// doesn't answer; the list has the agents of the others.
func (d desk) present(ctx context.Context) ([]string, error) {
	sockets, err := d.agents.FetchSockets(ctx)
	names := []string{}
	for _, s := range sockets {
		if u, err := userKey.Get(s); err == nil {
			names = append(names, u.Name)
		}
	}
	slices.Sort(names)
	var missing *socketio.MissingError
	if errors.As(err, &missing) {
		err = nil
	}
	return slices.Compact(names), err
}

// announce tells agents who comes, with the first device, and who goes, with the last.
func (d desk) announce() {
	d.agents.OnConnect(func(s *socketio.Socket) {
		if s.Recovered() {
			return // the others don't know that it was away
		}
		// The agent's first event waits for this, so an agent is online before it can leave.
		if n, err := d.connections(s.Context(), userOf(s)); err == nil && n == 1 {
			s.Broadcast().Emit("online", userOf(s).Name)
		}
	})
	d.agents.OnGone(func(s socketio.RemoteSocket) { // not OnDisconnect: the client may be back soon
		if n, err := d.connections(context.Background(), userOf(s)); err == nil && n == 0 {
			d.agents.Emit("offline", userOf(s).Name)
		}
	})
}

// connections counts an agent's devices on all hosts.
func (d desk) connections(ctx context.Context, agent user) (int, error) {
	sockets, err := d.agents.To(devices(agent.Name)).FetchSockets(ctx)
	var missing *socketio.MissingError
	if errors.As(err, &missing) {
		err = nil // as above
	}
	return len(sockets), err
}
