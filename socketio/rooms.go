package socketio

import (
	"slices"
	"sync"

	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// RoomChange is a kind of change of a room.
type RoomChange byte

// The changes of a room, which exists while a socket is in it.
const (
	RoomCreated RoomChange = iota
	RoomJoined
	RoomLeft
	RoomDeleted
)

// RoomEvent is one change of one room on this server.
type RoomEvent struct {
	Change RoomChange
	Room   string
	ID     string // the socket that joined or left; empty with RoomCreated and RoomDeleted
}

// rooms knows the sockets and rooms of one namespace. The members of a room lie densely, in the
// order of joining, so that a fan-out walks memory in order. A member that leaves becomes a gap
// until there are as many gaps as members.
//
// The room of a socket's own id isn't stored: byID and Socket.own stand for it.
type rooms struct {
	mu      sync.RWMutex
	all     room               // the connected sockets
	byID    map[string]*Socket // the sockets that are in the room of their own id
	named   map[string]*room
	watched int // how many want the events
	most    int // rooms that a socket may be in, besides its own

	between func() // a test's: called without the lock between two steps of leaveAll
}

func newRooms(most int) rooms {
	return rooms{byID: make(map[string]*Socket), named: make(map[string]*room), most: most}
}

// watch adds n to those who want the events.
func (r *rooms) watch(n int) {
	r.mu.Lock()
	r.watched += n
	r.mu.Unlock()
}

// noteLocked appends an event if somebody watches.
func (r *rooms) noteLocked(events []RoomEvent, change RoomChange, name, id string) []RoomEvent {
	if r.watched == 0 {
		return nil
	}
	return append(events, RoomEvent{change, name, id})
}

type room struct {
	name    string
	members []*Socket // nil: a gap
	slots   []int32   // where each member has the room among its rooms: to look for it would cost members times rooms
	gaps    int
}

// membership is one room of a socket, and its place there.
type membership struct {
	room *room // nil: a hole
	at   int32
}

// memberships are the rooms that a socket is in. They are under rooms.mu.
type memberships struct {
	list  []membership
	at    int32 // place among the connected sockets; -1: not connected
	holes int32 // in list
	own   bool  // in the room of its own id
	gone  bool  // has left for good
}

// scattered is the number of members from which gaps are closed.
const scattered = 16

func (r *room) live() int { return len(r.members) - r.gaps }

// has reports whether s is a member. It searches the shorter of the two lists.
func (r *room) has(s *Socket) bool {
	if len(r.members) < len(s.in.list) {
		return slices.Contains(r.members, s)
	}
	return s.in.find(r) >= 0
}

// find returns the place of r in the list, or -1.
func (in *memberships) find(r *room) int {
	for i := range in.list {
		if in.list[i].room == r {
			return i
		}
	}
	return -1
}

// remove makes a gap, and closes all gaps once they are half of the places. It returns the number
// of places that it looked at.
func (r *room) remove(at int32) (work int) {
	r.members[at] = nil
	r.gaps++
	if len(r.members) < scattered || r.gaps*2 < len(r.members) {
		return 1
	}
	kept := make([]*Socket, 0, r.live())
	var slots []int32
	if r.slots != nil {
		slots = make([]int32, 0, r.live())
	}
	for i, s := range r.members {
		switch {
		case s == nil:
			continue
		case r.slots == nil: // the room of all
			s.in.at = int32(len(kept))
		default:
			s.in.list[r.slots[i]].at = int32(len(kept))
			slots = append(slots, r.slots[i])
		}
		kept = append(kept, s)
	}
	work = len(r.members)
	r.members, r.slots, r.gaps = kept, slots, 0
	return work
}

// punch makes a hole for a room that the socket has left, and closes all holes once they are half
// of the places.
func (in *memberships) punch(i int) {
	in.list[i] = membership{}
	in.holes++
	if len(in.list) >= scattered && int(in.holes)*2 < len(in.list) {
		return
	}
	kept := in.list[:0]
	for _, m := range in.list {
		if m.room != nil {
			m.room.slots[m.at] = int32(len(kept))
			kept = append(kept, m)
		}
	}
	clear(in.list[len(kept):])
	in.list, in.holes = kept, 0
}

// names returns the names of the rooms, that of the socket's own id first.
func (in *memberships) names(id string) []string {
	list := make([]string, 0, len(in.list)+1)
	if in.own {
		list = append(list, id)
	}
	for _, m := range in.list {
		if m.room != nil && !in.gone {
			list = append(list, m.room.name)
		}
	}
	return list
}

// enter makes s visible to broadcasts, unless it has left meanwhile.
func (r *rooms) enter(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.in.gone {
		return
	}
	s.in.at = int32(len(r.all.members))
	r.all.members = append(r.all.members, s)
}

// join adds s to rooms. It returns the changes, and whether s is in too many rooms to join all. A
// socket that has left for good joins none.
func (r *rooms) join(s *Socket, names []string) (events []RoomEvent, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.in.gone {
		return nil, false
	}
	for _, name := range names {
		if name == s.id {
			if s.in.own {
				continue
			}
			if r.named[name] == nil && r.byID[name] == nil {
				events = r.noteLocked(events, RoomCreated, name, "")
			}
			s.in.own = true
			r.byID[name] = s
		} else {
			in := r.named[name]
			if len(s.in.list)-int(s.in.holes) >= r.most && (in == nil || !in.has(s)) {
				return events, true
			}
			if in == nil {
				if r.byID[name] == nil {
					events = r.noteLocked(events, RoomCreated, name, "")
				}
				in = &room{name: name}
				r.named[name] = in
			} else if in.has(s) {
				continue
			}
			in.slots = append(in.slots, int32(len(s.in.list)))
			s.in.list = append(s.in.list, membership{in, int32(len(in.members))})
			in.members = append(in.members, s)
		}
		events = r.noteLocked(events, RoomJoined, name, s.id)
	}
	return events, false
}

// readmit lets a socket that leaveAll has removed join rooms again.
func (r *rooms) readmit(s *Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.in.gone = false
}

// leave removes s from rooms and returns the changes.
func (r *rooms) leave(s *Socket, names []string) (events []RoomEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.in.gone { // and leaveAll is at work
		return nil
	}
	for _, name := range names {
		if name == s.id {
			events = r.leaveOwnLocked(s, events)
		} else if in := r.named[name]; in != nil {
			if i := s.in.find(in); i >= 0 {
				events, _ = r.dropLocked(s, s.in.list[i], events)
				s.in.punch(i)
			}
		}
	}
	return events
}

// mostWork is the number of places that leaveAll looks at, in some 100 us, before it releases the
// lock for a moment.
const mostWork = 2048

// leaveAll removes s from the namespace for good. It returns the rooms that s was in, and the
// changes. From its first moment on no broadcast reaches s. The rooms follow in several steps,
// between which others may join, leave and broadcast.
func (r *rooms) leaveAll(s *Socket) (was []string, events []RoomEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.in.gone {
		return nil, nil
	}
	was = s.in.names(s.id)
	s.in.gone = true
	if s.in.at >= 0 {
		r.all.remove(s.in.at)
		s.in.at = -1
	}
	events = r.leaveOwnLocked(s, nil)
	work := 0
	for i := range s.in.list { // nobody else changes them, but for their places
		m := s.in.list[i]
		if m.room == nil {
			continue
		}
		var done int
		events, done = r.dropLocked(s, m, events)
		s.in.list[i] = membership{}
		if work += done; work >= mostWork {
			work = 0
			r.mu.Unlock()
			if r.between != nil {
				r.between()
			}
			r.mu.Lock()
		}
	}
	s.in.list, s.in.holes = nil, 0
	return was, events
}

func (r *rooms) leaveOwnLocked(s *Socket, events []RoomEvent) []RoomEvent {
	if !s.in.own {
		return events
	}
	s.in.own = false
	if r.byID[s.id] == s { // a client that came back before its old connection ended has the id already
		delete(r.byID, s.id)
	}
	events = r.noteLocked(events, RoomLeft, s.id, s.id)
	if r.named[s.id] == nil && r.byID[s.id] == nil {
		events = r.noteLocked(events, RoomDeleted, s.id, "")
	}
	return events
}

// dropLocked empties the place of s in a room. The caller removes the membership from s.
func (r *rooms) dropLocked(s *Socket, m membership, events []RoomEvent) (_ []RoomEvent, work int) {
	events = r.noteLocked(events, RoomLeft, m.room.name, s.id)
	work = m.room.remove(m.at)
	if m.room.live() == 0 {
		delete(r.named, m.room.name)
		if r.byID[m.room.name] == nil {
			events = r.noteLocked(events, RoomDeleted, m.room.name, "")
		}
	}
	return events, work
}

// of returns the rooms of s: its own first, then the others in the order of joining.
func (r *rooms) of(s *Socket) []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return s.in.names(s.id)
}

// has reports whether a socket is in the room.
func (r *rooms) has(name []byte) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.named[string(name)] != nil || r.byID[string(name)] != nil
}

// names lists all rooms.
func (r *rooms) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]string, 0, len(r.byID)+len(r.named))
	for name := range r.byID {
		list = append(list, name)
	}
	for name := range r.named {
		if r.byID[name] == nil {
			list = append(list, name)
		}
	}
	return list
}

// batch is how many rooms each reads before it releases the lock for a moment.
const batch = 1024

// each yields the rooms but those of sockets' ids, and how many sockets are in each. It holds no lock
// meanwhile. Rooms that appear or disappear in the meantime may be missing.
func (r *rooms) each(yield func(name string, sockets int) bool) {
	type count struct {
		name    string
		sockets int
	}
	var counts []count
	tell := func() bool {
		r.mu.RUnlock()
		defer r.mu.RLock()
		for _, c := range counts {
			if !yield(c.name, c.sockets) {
				return false
			}
		}
		counts = counts[:0]
		return true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for name, in := range r.named { // a map may change between two steps
		if counts = append(counts, count{name, in.live()}); len(counts) == batch && !tell() {
			return
		}
	}
	tell()
}

// counts returns the number of connected sockets, and of rooms but those of their ids.
func (r *rooms) counts() (sockets, rooms int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all.live(), len(r.named)
}

// byOwnID returns the connected socket with that id, unless it has left the room of its own id.
func (r *rooms) byOwnID(id string) *Socket {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if s := r.byID[id]; s != nil && s.in.at >= 0 {
		return s
	}
	return nil
}

// place is what a room's name stands for: a stored room, the room of a socket's id, or both.
type place struct {
	room *room
	own  *Socket
}

func (p place) has(s *Socket) bool {
	return p.own == s || p.room != nil && p.room.has(s)
}

// few is the number of rooms up to which comparing one by one is faster than a set.
const few = 4

// matching appends the connected sockets that t selects, each once, room by room.
func (r *rooms) matching(dst []*Socket, t *cluster.Target) []*Socket {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var refused exclusion
	refused.addLocked(r, t.Except)
	if len(t.Rooms) == 0 {
		for _, s := range r.all.members {
			if s != nil && !refused.has(s) {
				dst = append(dst, s)
			}
		}
		return dst
	}
	var seen exclusion
	for i := range t.Rooms {
		p := place{r.named[t.Rooms[i]], r.byID[t.Rooms[i]]}
		if s := p.own; s != nil && s.in.at >= 0 && !refused.has(s) && !seen.has(s) {
			dst = append(dst, s)
		}
		if p.room != nil {
			for _, s := range p.room.members {
				if s != nil && s != p.own && s.in.at >= 0 && !refused.has(s) && !seen.has(s) {
					dst = append(dst, s)
				}
			}
		}
		if i+1 < len(t.Rooms) {
			seen.addLocked(r, t.Rooms[i:i+1])
		}
	}
	return dst
}

// exclusion is a set of sockets: the rooms that they are in while those are few.
type exclusion struct {
	places [few]place
	n      int
	set    map[*Socket]struct{}
}

func (e *exclusion) addLocked(r *rooms, names []string) {
	for _, name := range names {
		p := place{r.named[name], r.byID[name]}
		if p.room == nil && p.own == nil {
			continue
		}
		if e.set == nil && e.n < few {
			e.places[e.n] = p
			e.n++
			continue
		}
		if e.set == nil {
			e.set = make(map[*Socket]struct{})
			for _, p := range e.places {
				e.insert(p)
			}
			e.n = 0
		}
		e.insert(p)
	}
}

func (e *exclusion) insert(p place) {
	if p.own != nil {
		e.set[p.own] = struct{}{}
	}
	if p.room != nil {
		for _, s := range p.room.members {
			e.set[s] = struct{}{}
		}
	}
}

func (e *exclusion) has(s *Socket) bool {
	for i := range e.n {
		if e.places[i].has(s) {
			return true
		}
	}
	if e.set == nil {
		return false
	}
	_, ok := e.set[s]
	return ok
}
