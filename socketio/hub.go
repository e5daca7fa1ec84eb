package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Hub links the servers of one process, as package adapter links those of many: for tests of an app on several
// servers. Make one, and give it to each server as Config.Adapter.
type Hub struct {
	mu      sync.Mutex
	members map[string][]*hubMember // by namespace
	opened  int                     // how many there ever were
}

var _ Cluster = (*Hub)(nil)

// NewHub makes a Hub that links nobody yet.
func NewHub() *Hub { return &Hub{members: make(map[string][]*hubMember)} }

// Open makes a server's namespace a member.
func (h *Hub) Open(local Local) (Adapter, error) {
	m := &hubMember{hub: h, local: local}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	m.id = strconv.Itoa(h.opened)
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
	id    string
	local Local
	order sync.Mutex // held while a broadcast is handed to the others, which get them in the order of the calls
}

var _ Adapter = (*hubMember)(nil)

// others are the namespaces of the same name on the other servers.
func (m *hubMember) others() []Local {
	var list []Local
	for _, other := range m.peers() {
		list = append(list, other.local)
	}
	return list
}

func (m *hubMember) peers() []*hubMember {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.hub.members[m.local.Name()]), func(other *hubMember) bool { return other == m })
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
	return askHub(ctx, m.peers(), p)
}

// askHub raises an event on some servers and waits for an answer of each.
func askHub(ctx context.Context, peers []*hubMember, p Payload) ([]Payload, error) {
	type answer struct {
		from    *hubMember
		payload Payload
	}
	answers := make(chan answer, len(peers))
	for _, peer := range peers {
		peer.local.ServerSideEvent(p, func(p Payload) { answers <- answer{peer, p} })
	}
	var list []Payload
	missing := slices.Clone(peers)
	for len(missing) > 0 {
		select {
		case a := <-answers:
			list = append(list, a.payload)
			missing = slices.DeleteFunc(missing, func(m *hubMember) bool { return m == a.from })
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return list, ctx.Err()
			}
			e := &MissingError{Answered: len(list), Expected: len(peers)}
			e.Text = fmt.Sprintf("timeout reached: only %d responses received out of %d", e.Answered, e.Expected)
			for _, m := range missing {
				e.Missing = append(e.Missing, Peer{ID: m.id})
			}
			return list, e
		}
	}
	return list, nil
}

// peer finds another server by its id.
func (m *hubMember) peer(id string) ([]*hubMember, error) {
	for _, other := range m.peers() {
		if other.id == id {
			return []*hubMember{other}, nil
		}
	}
	return nil, ErrNoPeer
}

func (m *hubMember) ServerSideEmitTo(peer string, p Payload) error {
	to, err := m.peer(peer)
	if err == nil {
		to[0].local.ServerSideEvent(p, nil)
	}
	return err
}

func (m *hubMember) ServerSideEmitToWithAck(ctx context.Context, peer string, p Payload) (Payload, error) {
	to, err := m.peer(peer)
	if err != nil {
		return Payload{}, err
	}
	answers, err := askHub(ctx, to, p)
	if err != nil {
		return Payload{}, err
	}
	return answers[0], nil
}

func (m *hubMember) Peers() (list []Peer) {
	for _, other := range m.peers() {
		list = append(list, Peer{ID: other.id})
	}
	return list
}

func (m *hubMember) AllRooms(context.Context) ([]string, error) {
	var list []string
	for _, other := range m.others() {
		list = append(list, other.Rooms()...)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func (m *hubMember) ServerCount(context.Context) (int, error) { return len(m.others()) + 1, nil }

func (m *hubMember) Close() error {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	name := m.local.Name()
	m.hub.members[name] = slices.DeleteFunc(slices.Clone(m.hub.members[name]), func(other *hubMember) bool { return other == m })
	return nil
}
