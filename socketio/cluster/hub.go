package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Hub is a Cluster of servers in one process, for tests of an app on several servers. Give one Hub
// to each server as socketio.Config.Adapter. With recovery a client may come back to any of them.
type Hub struct {
	mu      sync.Mutex
	members map[string][]*hubMember // by namespace
	logs    map[string]*hubLog      // of namespaces with recovery
	opened  int                     // how many there ever were
}

var _ Cluster = (*Hub)(nil)

// NewHub returns a Hub without servers.
func NewHub() *Hub {
	return &Hub{members: make(map[string][]*hubMember), logs: make(map[string]*hubLog)}
}

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
	log   atomic.Pointer[hubLog] // nil without recovery
	order sync.Mutex             // held while a broadcast is handed to the others, which get them in the order of the calls
}

var _ RecoveringAdapter = (*hubMember)(nil)

// peers are the namespaces of the same name on the other servers.
func (m *hubMember) peers() []*hubMember {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.hub.members[m.local.Name()]), func(other *hubMember) bool { return other == m })
}

func (m *hubMember) Broadcast(b *Broadcast) error {
	m.inOrder(func() {
		for _, other := range m.peers() {
			other.local.Deliver(b)
		}
	})
	return nil
}

// inOrder calls f after what this server did before: with recovery, also after its Emits.
func (m *hubMember) inOrder(f func()) {
	if log := m.log.Load(); log != nil {
		log.inTurn(f)
		return
	}
	m.order.Lock()
	defer m.order.Unlock()
	f()
}

func (m *hubMember) Order(o Order) error {
	to, err := m.addressed(o.Peer)
	apply := func() {
		for _, other := range to {
			other.local.Apply(o)
		}
	}
	if log := m.log.Load(); log != nil {
		log.inTurn(apply)
	} else {
		apply()
	}
	return err
}

// addressed returns the other servers, or only the one with the id peer.
func (m *hubMember) addressed(peer string) ([]*hubMember, error) {
	all := m.peers()
	if peer == "" {
		return all, nil
	}
	all = slices.DeleteFunc(all, func(other *hubMember) bool { return other.id != peer })
	if len(all) == 0 {
		return nil, ErrNoPeer
	}
	return all, nil
}

func (m *hubMember) Ask(ctx context.Context, q Question, answer func(Answer)) error {
	to, err := m.addressed(q.Peer)
	if err != nil {
		return err
	}
	var expired <-chan time.Time
	if q.Kind == AskClients {
		timer := time.NewTimer(q.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	answers := inbox{news: make(chan struct{}, 1)}
	for _, other := range to {
		other.local.Answer(q, func(a Answer) { answers.add(arrival{other, a}) })
	}
	open := tally{expected: len(to), missing: slices.Clone(to)}
	for {
		for _, a := range answers.take() {
			open.count(a)
			answer(a.Answer)
		}
		if len(open.missing) == 0 && open.acks <= 0 {
			return nil
		}
		select {
		case <-answers.news:
		case <-expired:
			return nil
		case <-ctx.Done():
			return open.error(ctx, q.Kind)
		}
	}
}

// arrival is an answer of another server.
type arrival struct {
	from *hubMember
	Answer
}

// inbox collects answers, which may come on any goroutine.
type inbox struct {
	news chan struct{} // has a value after an answer came

	mu   sync.Mutex
	came []arrival
}

func (i *inbox) add(a arrival) {
	i.mu.Lock()
	i.came = append(i.came, a)
	i.mu.Unlock()
	select {
	case i.news <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []arrival {
	i.mu.Lock()
	defer i.mu.Unlock()
	came := i.came
	i.came = nil
	return came
}

// tally is what a question still waits for.
type tally struct {
	expected int
	missing  []*hubMember
	acks     int // of clients that were counted
}

func (t *tally) count(a arrival) {
	if a.Ack {
		t.acks--
		return
	}
	t.acks += a.Clients
	t.missing = slices.DeleteFunc(t.missing, func(m *hubMember) bool { return m == a.from })
}

// error says which servers didn't answer. About clients the caller knows that itself.
func (t *tally) error(ctx context.Context, kind QuestionKind) error {
	if kind == AskClients || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	e := &MissingError{Answered: t.expected - len(t.missing), Expected: t.expected}
	e.Text = fmt.Sprintf("timeout reached: only %d responses received out of %d", e.Answered, e.Expected)
	for _, m := range t.missing {
		e.Missing = append(e.Missing, Peer{ID: m.id})
	}
	return e
}

func (m *hubMember) Peers() (list []Peer) {
	for _, other := range m.peers() {
		list = append(list, Peer{ID: other.id})
	}
	return list
}

func (m *hubMember) ServerCount(context.Context) (int, error) { return len(m.peers()) + 1, nil }

func (m *hubMember) Close() error {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	name := m.local.Name()
	m.hub.members[name] = slices.DeleteFunc(slices.Clone(m.hub.members[name]), func(other *hubMember) bool { return other == m })
	return nil
}
