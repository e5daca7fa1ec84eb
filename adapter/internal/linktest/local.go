package linktest

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Socket is a client that remembers what it got.
type Socket struct {
	ID    string
	Name  string // in the golden files
	Rooms []string
	Data  string
	Bin   [][]byte // the attachments of Data
	Shake []byte
	Gone  bool
}

// Got is one thing that a client, or a server-side handler, was told.
type Got struct {
	Who     string
	Payload packet.Payload
	Flags   cluster.Flags
	Gone    bool
}

// Local is a namespace of one server whose clients answer by rule.
type Local struct {
	name string
	// Acks is what a client says to an event that wants an answer; ok false: nothing.
	Acks func(s *Socket, event string) (p packet.Payload, ok bool)
	// Handle is what a server-side handler answers; ok false: there is no handler.
	Handle func(event string) (p packet.Payload, ok bool)

	watcher func(room, id string, occupied bool) // nil: nobody wants to know

	mu      sync.Mutex
	Sockets []*Socket
	log     []Got
	Arrived chan struct{} // has room for one: something was logged
}

func NewLocal(name string, sockets ...*Socket) *Local {
	for _, s := range sockets {
		s.Rooms = append([]string{s.ID}, s.Rooms...)
		if s.Data == "" {
			s.Data = "{}"
		}
	}
	return &Local{name: name, Sockets: sockets, Arrived: make(chan struct{}, 1)}
}

func (l *Local) note(g Got) {
	l.log = append(l.log, g)
	select {
	case l.Arrived <- struct{}{}:
	default:
	}
}

// Take returns what was logged, and forgets it.
func (l *Local) Take() []Got {
	l.mu.Lock()
	defer l.mu.Unlock()
	log := l.log
	l.log = nil
	return log
}

func (l *Local) matchingLocked(t cluster.Target) (found []*Socket) {
	in := func(s *Socket) func(string) bool {
		return func(room string) bool { return slices.Contains(s.Rooms, room) }
	}
	for _, s := range l.Sockets {
		if !s.Gone && (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, in(s))) && !slices.ContainsFunc(t.Except, in(s)) {
			found = append(found, s)
		}
	}
	return found
}

func (l *Local) Name() string { return l.name }

func (l *Local) HasRoom(room []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.Sockets {
		for _, r := range s.Rooms {
			if r == string(room) && !s.Gone {
				return true
			}
		}
	}
	return false
}

func (l *Local) Deliver(b *cluster.Broadcast) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(b.Target) {
		l.note(Got{Who: s.Name, Payload: b.Data, Flags: b.Flags})
	}
}

// Answer implements cluster.Local.
func (l *Local) Answer(q cluster.Question, answer func(cluster.Answer)) {
	switch q.Kind {
	case cluster.AskSockets:
		answer(cluster.Answer{Sockets: l.fetch(q.Target)})
	case cluster.AskRooms:
		answer(cluster.Answer{Rooms: l.rooms()})
	case cluster.AskServers:
		l.raise(q.Event, func(p packet.Payload) { answer(cluster.Answer{Payload: p}) })
	case cluster.AskClients:
		l.askClients(q, answer)
	}
}

// askClients lets answers come before their number.
func (l *Local) askClients(q cluster.Question, answer func(cluster.Answer)) {
	l.mu.Lock()
	matching := l.matchingLocked(q.Target)
	acks := l.Acks
	l.mu.Unlock()
	l.Deliver(&cluster.Broadcast{Target: q.Target, Flags: q.Flags, Data: q.Event})
	for _, s := range matching {
		if acks != nil {
			if p, ok := acks(s, EventOf(q.Event)); ok {
				answer(cluster.Answer{Ack: true, Payload: p})
			}
		}
	}
	answer(cluster.Answer{Clients: len(matching)})
}

// Apply implements cluster.Local.
func (l *Local) Apply(o cluster.Order) {
	switch o.Kind {
	case cluster.Join:
		l.join(o.Target, o.Rooms)
	case cluster.Leave:
		l.leave(o.Target, o.Rooms)
	case cluster.Disconnect:
		l.disconnect(o.Target)
	case cluster.Raise:
		l.raise(o.Event, nil)
	}
}

func (l *Local) fetch(t cluster.Target) (found []cluster.SocketInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		found = append(found, cluster.SocketInfo{ID: s.ID, Rooms: slices.Clone(s.Rooms), Data: packet.Payload{JSON: []byte(s.Data), Attachments: s.Bin}, Handshake: s.Shake})
	}
	return found
}

// WatchRooms tells f of the rooms that are there already, as a namespace never has to.
func (l *Local) WatchRooms(f func(room, id string, occupied bool)) {
	l.watcher = f
	for _, s := range l.Sockets {
		for _, room := range s.Rooms {
			f(room, s.ID, true)
		}
	}
}

// tell reports changes, once they are made.
func (l *Local) tell(occupied bool, rooms []string) {
	for _, room := range rooms {
		if l.watcher != nil && l.HasRoom([]byte(room)) == occupied {
			l.watcher(room, "", occupied)
		}
	}
}

func (l *Local) join(t cluster.Target, rooms []string) {
	defer l.tell(true, rooms)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		for _, r := range rooms {
			if !slices.Contains(s.Rooms, r) {
				s.Rooms = append(s.Rooms, r)
			}
		}
	}
	l.note(Got{Who: "join"})
}

func (l *Local) leave(t cluster.Target, rooms []string) {
	defer l.tell(false, rooms)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		s.Rooms = slices.DeleteFunc(s.Rooms, func(r string) bool { return slices.Contains(rooms, r) })
	}
	l.note(Got{Who: "leave"})
}

func (l *Local) disconnect(t cluster.Target) {
	var left []string
	defer func() { l.tell(false, left) }()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.matchingLocked(t) {
		s.Gone = true
		left = append(left, s.Rooms...)
		l.note(Got{Who: s.Name, Gone: true})
	}
}

func (l *Local) raise(p packet.Payload, reply func(packet.Payload)) {
	l.mu.Lock()
	l.note(Got{Who: "server", Payload: p})
	l.mu.Unlock()
	if reply != nil && l.Handle != nil {
		if answer, ok := l.Handle(EventOf(p)); ok {
			reply(answer)
		}
	}
}

func (l *Local) rooms() (rooms []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Node keeps rooms in the order in which they came up: those that sockets connect with first.
	for i := 0; ; i++ {
		any := false
		for _, s := range l.Sockets {
			if i < len(s.Rooms) && !s.Gone {
				any = true
				if !slices.Contains(rooms, s.Rooms[i]) {
					rooms = append(rooms, s.Rooms[i])
				}
			}
		}
		if !any {
			return rooms
		}
	}
}

func EventOf(p packet.Payload) string {
	var values []any
	_ = json.Unmarshal(p.JSON, &values)
	if len(values) == 0 {
		return ""
	}
	name, _ := values[0].(string)
	return name
}

func Text(values ...string) packet.Payload {
	return packet.Payload{JSON: []byte("[" + strings.Join(values, ",") + "]")}
}

var _ cluster.Local = (*Local)(nil)

// SetAcks changes how the clients answer, while others may use the Local.
func (l *Local) SetAcks(acks func(s *Socket, event string) (packet.Payload, bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Acks = acks
}
