package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Hub is a Cluster of servers in one process, for tests of an app on several servers. Give one Hub
// to each server as socketio.Config.Adapter.
type Hub struct {
	mu      sync.Mutex
	members map[string][]*hubMember // by namespace
	opened  int                     // how many there ever were
}

var _ Cluster = (*Hub)(nil)

// NewHub returns a Hub without servers.
func NewHub() *Hub { return &Hub{members: make(map[string][]*hubMember)} }

// Open adds a server's namespace to the Hub.
func (h *Hub) Open(local Local) (Adapter, error) {
	m := &hubMember{hub: h, local: local}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened++
	m.id = strconv.Itoa(h.opened)
	h.members[local.Name()] = append(slices.Clip(h.members[local.Name()]), m)
	return m, nil
}

// Run waits for the end of ctx. Operations run on the goroutine of their caller.
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

func (m *hubMember) BroadcastWithAck(ctx context.Context, b *Broadcast, timeout time.Duration, counted func(int), answered func(packet.Payload)) error {
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	answers := inbox{news: make(chan struct{}, 1)}
	asked := 0
	for _, other := range m.others() {
		n := other.DeliverWithAck(b, timeout, answers.add)
		counted(n)
		asked += n
	}
	err := answers.wait(ctx, asked, expired.C)
	for _, p := range answers.list() {
		answered(p)
	}
	return err
}

// inbox collects answers, which may come on any goroutine.
type inbox struct {
	news chan struct{} // has a value after an answer came

	mu   sync.Mutex
	came []packet.Payload
}

func (i *inbox) add(p packet.Payload) {
	i.mu.Lock()
	i.came = append(i.came, p)
	i.mu.Unlock()
	select {
	case i.news <- struct{}{}:
	default:
	}
}

func (i *inbox) list() []packet.Payload {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.came)
}

// wait returns after n answers, or when the time is over, or with the error of ctx.
func (i *inbox) wait(ctx context.Context, n int, expired <-chan time.Time) error {
	for len(i.list()) < n {
		select {
		case <-i.news:
		case <-expired:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
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

func (m *hubMember) ServerSideEmit(p packet.Payload) error {
	for _, other := range m.others() {
		other.ServerSideEvent(p, nil)
	}
	return nil
}

func (m *hubMember) ServerSideEmitWithAck(ctx context.Context, p packet.Payload) ([]packet.Payload, error) {
	return askHub(ctx, m.peers(), p)
}

// askHub raises an event on some servers and waits for an answer of each.
func askHub(ctx context.Context, peers []*hubMember, p packet.Payload) ([]packet.Payload, error) {
	type answer struct {
		from    *hubMember
		payload packet.Payload
	}
	answers := make(chan answer, len(peers))
	for _, peer := range peers {
		peer.local.ServerSideEvent(p, func(p packet.Payload) { answers <- answer{peer, p} })
	}
	var list []packet.Payload
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

func (m *hubMember) ServerSideEmitTo(peer string, p packet.Payload) error {
	to, err := m.peer(peer)
	if err == nil {
		to[0].local.ServerSideEvent(p, nil)
	}
	return err
}

func (m *hubMember) ServerSideEmitToWithAck(ctx context.Context, peer string, p packet.Payload) (packet.Payload, error) {
	to, err := m.peer(peer)
	if err != nil {
		return packet.Payload{}, err
	}
	answers, err := askHub(ctx, to, p)
	if err != nil {
		return packet.Payload{}, err
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
