package adapter

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// fakeSocket is a client that remembers what it got.
type fakeSocket struct {
	id    string
	name  string // as the golden files call it
	rooms []string
	data  string
	shake []byte
	gone  bool
}

// got is one thing that a client, or a server-side handler, was told.
type got struct {
	who     string
	payload packet.Payload
	flags   cluster.Flags
	gone    bool
}

// fakeLocal is a namespace of one server whose clients answer by rule.
type fakeLocal struct {
	name string
	// answer is what a client says to an event that wants an answer; ok false: nothing.
	answer func(s *fakeSocket, event string) (p packet.Payload, ok bool)
	// handle is what a server-side handler answers; ok false: there is no handler.
	handle func(event string) (p packet.Payload, ok bool)

	watcher func(room, id string, occupied bool) // nil: nobody wants to know

	mu      sync.Mutex
	sockets []*fakeSocket
	log     []got
	arrived chan struct{} // has room for one: something was logged
}

func newFakeLocal(name string, sockets ...*fakeSocket) *fakeLocal {
	for _, s := range sockets {
		s.rooms = append([]string{s.id}, s.rooms...)
		if s.data == "" {
			s.data = "{}"
		}
	}
	return &fakeLocal{name: name, sockets: sockets, arrived: make(chan struct{}, 1)}
}

func (l *fakeLocal) note(g got) {
	l.log = append(l.log, g)
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// take returns what was logged, and forgets it.
func (l *fakeLocal) take() []got {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log
	l.log = nil
	return log
}

func (l *fakeLocal) matchingLocked(t cluster.Target) (found []*fakeSocket) {
	in := func(s *fakeSocket) func(string) bool {
		return func(room string) bool { return slices.Contains(s.rooms, room) }
	}
	for _, s := range l.sockets {
		if !s.gone && (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, in(s))) && !slices.ContainsFunc(t.Except, in(s)) {
			found = append(found, s)
		}
	}
	return found
}

func (l *fakeLocal) Name() string { return l.name }

func (l *fakeLocal) HasRoom(room []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sockets {
		for _, r := range s.rooms {
			if r == string(room) && !s.gone {
				return true
			}
		}
	}
	return false
}

func (l *fakeLocal) Deliver(b *cluster.Broadcast) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(b.Target) {
		l.note(got{who: s.name, payload: b.Data, flags: b.Flags})
	}
}

func (l *fakeLocal) DeliverWithAck(b *cluster.Broadcast, _ time.Duration, answered func(packet.Payload)) int {
	l.mu.Lock()
	matching := l.matchingLocked(b.Target)
	l.mu.Unlock()
	l.Deliver(b)
	for _, s := range matching {
		if l.answer != nil {
			if p, ok := l.answer(s, eventOf(b.Data)); ok {
				answered(p)
			}
		}
	}
	return len(matching)
}

func (l *fakeLocal) Fetch(t cluster.Target) (found []cluster.SocketInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		found = append(found, cluster.SocketInfo{ID: s.id, Rooms: slices.Clone(s.rooms), Data: []byte(s.data), Handshake: s.shake})
	}
	return found
}

// WatchRooms tells f of the rooms that are there already, as a namespace never has to.
func (l *fakeLocal) WatchRooms(f func(room, id string, occupied bool)) {
	l.watcher = f
	for _, s := range l.sockets {
		for _, room := range s.rooms {
			f(room, s.id, true)
		}
	}
}

// tell reports changes, once they are made.
func (l *fakeLocal) tell(occupied bool, rooms []string) {
	for _, room := range rooms {
		if l.watcher != nil && l.HasRoom([]byte(room)) == occupied {
			l.watcher(room, "", occupied)
		}
	}
}

func (l *fakeLocal) ApplyJoin(t cluster.Target, rooms []string) {
	defer l.tell(true, rooms)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		for _, r := range rooms {
			if !slices.Contains(s.rooms, r) {
				s.rooms = append(s.rooms, r)
			}
		}
	}
	l.note(got{who: "join"})
}

func (l *fakeLocal) ApplyLeave(t cluster.Target, rooms []string) {
	defer l.tell(false, rooms)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		s.rooms = slices.DeleteFunc(s.rooms, func(r string) bool { return slices.Contains(rooms, r) })
	}
	l.note(got{who: "leave"})
}

func (l *fakeLocal) ApplyDisconnect(t cluster.Target, _ bool) {
	var left []string
	defer func() { l.tell(false, left) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		s.gone = true
		left = append(left, s.rooms...)
		l.note(got{who: s.name, gone: true})
	}
}

func (l *fakeLocal) ServerSideEvent(p packet.Payload, reply func(packet.Payload)) {
	l.mu.Lock()
	l.note(got{who: "server", payload: p})
	l.mu.Unlock()
	if reply != nil && l.handle != nil {
		if answer, ok := l.handle(eventOf(p)); ok {
			reply(answer)
		}
	}
}

func (l *fakeLocal) Rooms() (rooms []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Node keeps rooms in the order in which they came up: those that sockets connect with first.
	for i := 0; ; i++ {
		any := false
		for _, s := range l.sockets {
			if i < len(s.rooms) && !s.gone {
				any = true
				if !slices.Contains(rooms, s.rooms[i]) {
					rooms = append(rooms, s.rooms[i])
				}
			}
		}
		if !any {
			return rooms
		}
	}
}

func eventOf(p packet.Payload) string {
	var values []any
	_ = json.Unmarshal(p.JSON, &values)
	if len(values) == 0 {
		return ""
	}
	name, _ := values[0].(string)
	return name
}

func text(values ...string) packet.Payload {
	return packet.Payload{JSON: []byte("[" + strings.Join(values, ",") + "]")}
}

var _ cluster.Local = (*fakeLocal)(nil)
