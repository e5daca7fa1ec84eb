package socketio

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Hub links the servers of one process, as package adapter links those of many: for tests of an app on several
// servers. Make one, and give it to each server as Config.Adapter.
type Hub struct {
	mu      sync.Mutex
	members map[string][]*hubMember // by namespace
}

var _ Cluster = (*Hub)(nil)

// NewHub makes a Hub that links nobody yet.
func NewHub() *Hub { return &Hub{members: make(map[string][]*hubMember)} }

// Open makes a server's namespace a member.
func (h *Hub) Open(local Local) (Adapter, error) {
	m := &hubMember{hub: h, local: local}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members[local.Name()] = append(slices.Clip(h.members[local.Name()]), m)
	return m, nil
}

// Run has nothing to do: operations run on the goroutine of who calls them.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// hubMember is the namespace of one server.
type hubMember struct {
	hub   *Hub
	local Local
	order sync.Mutex // held while a broadcast is handed to the others, which get them in the order of the calls
}

var _ Adapter = (*hubMember)(nil)

// others are the namespaces of the same name on the other servers.
func (m *hubMember) others() []Local {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	var list []Local
	for _, other := range m.hub.members[m.local.Name()] {
		if other != m {
			list = append(list, other.local)
		}
	}
	return list
}

func (m *hubMember) Broadcast(b *Broadcast) error {
	m.order.Lock()
	defer m.order.Unlock()
	for _, other := range m.others() {
		other.Deliver(b)
	}
	return nil
}

func (m *hubMember) BroadcastWithAck(ctx context.Context, b *Broadcast, timeout time.Duration, counted func(int), answered func(Payload)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	c := &collector{done: make(chan struct{})}
	for _, other := range m.others() {
		n := other.DeliverWithAck(b, timeout, func(p Payload) {
			if args, err := p.Args(); err == nil {
				c.add(args)
			}
		})
		counted(n)
		c.expect(n)
	}
	c.complete()
	var err error
	select {
	case <-c.done:
	case <-ctx.Done():
		if err = context.Cause(ctx); errors.Is(err, ErrTimeout) {
			err = nil
		}
	}
	for _, args := range c.result() {
		answered(args.Payload())
	}
	return err
}

func (m *hubMember) FetchSockets(_ context.Context, t Target) ([]SocketInfo, error) {
	var list []SocketInfo
	for _, other := range m.others() {
		list = append(list, other.Fetch(t)...)
	}
	return list, nil
}

func (m *hubMember) Join(t Target, rooms []string) error {
	for _, other := range m.others() {
		other.ApplyJoin(t, rooms)
	}
	return nil
}

func (m *hubMember) Leave(t Target, rooms []string) error {
	for _, other := range m.others() {
		other.ApplyLeave(t, rooms)
	}
	return nil
}

func (m *hubMember) Disconnect(t Target, closeTransport bool) error {
	for _, other := range m.others() {
		other.ApplyDisconnect(t, closeTransport)
	}
	return nil
}

func (m *hubMember) ServerSideEmit(p Payload) error {
	for _, other := range m.others() {
		other.ServerSideEvent(p, nil)
	}
	return nil
}

func (m *hubMember) ServerSideEmitWithAck(ctx context.Context, p Payload) ([]Payload, error) {
	others := m.others()
	answers := make(chan Payload, len(others))
	for _, other := range others {
		other.ServerSideEvent(p, func(p Payload) { answers <- p })
	}
	var list []Payload
	for range others {
		select {
		case p := <-answers:
			list = append(list, p)
		case <-ctx.Done():
			return list, ctx.Err()
		}
	}
	return list, nil
}

func (m *hubMember) ServerCount(context.Context) (int, error) { return len(m.others()) + 1, nil }

func (m *hubMember) Close() error {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	name := m.local.Name()
	m.hub.members[name] = slices.DeleteFunc(slices.Clone(m.hub.members[name]), func(other *hubMember) bool { return other == m })
	return nil
}
