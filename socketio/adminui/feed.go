package adminui

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// feed is what this server tells admins of single sockets: those that it shows. It is closed while
// no admin is there. Its methods may be called concurrently.
type feed struct {
	admins *socketio.Namespace
	queue  chan message // to run, which sends: those who tell must not block
	events *rate.Limiter
	left   atomic.Int64 // messages left out since the last report

	mu    sync.Mutex
	most  int               // sockets that this server shows; 0: closed
	shown map[string]*shown // by socket id
	stops map[*socketio.Namespace][]func()
}

// message is an event for all admins.
type message struct {
	event string
	args  []any
}

// shown is a socket that admins see.
type shown struct {
	nsp       *socketio.Namespace
	connected bool
	left      []message // rooms it left with its connection, to be told after that
	data      string    // as told last
}

// backlog is the number of messages that wait for Redis and for admins.
const backlog = 4096

func newFeed(admins *socketio.Namespace) *feed {
	return &feed{
		admins: admins, queue: make(chan message, backlog), events: rate.NewLimiter(MaxEventsPerSecond, MaxEventsPerSecond),
		shown: make(map[string]*shown), stops: make(map[*socketio.Namespace][]func()),
	}
}

// open begins to show at most most sockets of the namespaces.
func (f *feed) open(most int, namespaces []*socketio.Namespace) {
	f.mu.Lock()
	f.most = most
	f.mu.Unlock()
	for _, n := range namespaces {
		f.listen(n)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range namespaces {
		for s := range n.Sockets() {
			if len(f.shown) >= most*3/4 { // some are left for newcomers
				return
			}
			if f.shown[s.ID()] == nil {
				f.shown[s.ID()] = &shown{nsp: n, connected: true}
			}
		}
	}
}

// listen follows rooms and events of a namespace while the feed is open.
func (f *feed) listen(n *socketio.Namespace) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.most == 0 || f.stops[n] != nil {
		return
	}
	stops := []func(){n.OnRoom(func(e socketio.RoomEvent) { f.room(n, e) })}
	if n != f.admins {
		stops = append(stops,
			n.OnAny(func(s *socketio.Socket, event string, args socketio.Args) { f.event("event_received", s, event, args) }),
			n.OnAnyOutgoing(func(s *socketio.Socket, event string, args socketio.Args) { f.event("event_sent", s, event, args) }))
	}
	f.stops[n] = stops
}

// close forgets all.
func (f *feed) close() {
	f.mu.Lock()
	f.most = 0
	stops := f.stops
	f.stops = make(map[*socketio.Namespace][]func())
	clear(f.shown)
	f.mu.Unlock()
	for _, list := range stops {
		for _, stop := range list {
			stop()
		}
	}
	for {
		select {
		case <-f.queue:
		default:
			f.left.Store(0)
			return
		}
	}
}

// tell queues a message.
func (f *feed) tell(m message) {
	select {
	case f.queue <- m:
	default:
		f.left.Add(1)
	}
}

// room tells that a shown socket joined or left a room. A socket's own room is the first sign of it.
func (f *feed) room(n *socketio.Namespace, e socketio.RoomEvent) {
	now := date(time.Now())
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.shown[e.ID]
	switch e.Change {
	case socketio.RoomJoined:
		if s == nil && e.Room == e.ID && len(f.shown) < f.most {
			s = &shown{nsp: n}
			f.shown[e.ID] = s
		}
		if s != nil {
			f.tell(message{"room_joined", []any{n.Name(), e.Room, e.ID, now}})
		}
	case socketio.RoomLeft:
		if s == nil {
			return
		}
		m := message{"room_left", []any{n.Name(), e.Room, e.ID, now}}
		switch _, alive := n.Socket(e.ID); {
		case alive:
			f.tell(m)
		case s.connected:
			s.left = append(s.left, m)
		case e.Room == e.ID: // it never connected
			delete(f.shown, e.ID)
			f.tell(m)
		}
	}
}

// connected tells that a socket has connected, if it is to be shown.
func (f *feed) connected(ctx context.Context, n *socketio.Namespace, id string) {
	f.mu.Lock()
	s := f.shown[id]
	if s == nil && len(f.shown) < f.most {
		s = &shown{nsp: n}
		f.shown[id] = s
	}
	if s != nil {
		s.connected = true
	}
	f.mu.Unlock()
	if s == nil {
		return
	}
	for _, v := range views(ctx, n, []string{id}) {
		f.note(v)
		f.tell(message{"socket_connected", []any{v, date(time.Now())}})
	}
}

// disconnected tells that a shown socket has disconnected, and then that it left its rooms.
func (f *feed) disconnected(n *socketio.Namespace, id, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.shown[id]
	if s == nil {
		return
	}
	delete(f.shown, id)
	f.tell(message{"socket_disconnected", []any{n.Name(), id, reason, date(time.Now())}})
	for _, m := range s.left {
		f.tell(m)
	}
}

func (f *feed) shows(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown[id] != nil
}

// event tells of an event of a shown socket.
func (f *feed) event(kind string, s *socketio.Socket, event string, args socketio.Args) {
	switch {
	case !f.shows(s.ID()):
	case f.events.Allow():
		f.tell(message{kind, []any{s.Namespace().Name(), s.ID(), viewEvent(event, args), date(time.Now())}})
	default:
		f.left.Add(1)
	}
}

// updated tells the new transport of a shown socket.
func (f *feed) updated(s *socketio.Socket) {
	if f.shows(s.ID()) {
		f.tell(message{"socket_updated", []any{map[string]any{
			"id": s.ID(), "nsp": s.Namespace().Name(), "transport": s.Transport(),
		}}})
	}
}

// ids returns the connected sockets that are shown, by namespace.
func (f *feed) ids() map[*socketio.Namespace][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make(map[*socketio.Namespace][]string)
	for id, s := range f.shown {
		if s.connected {
			ids[s.nsp] = append(ids[s.nsp], id)
		}
	}
	return ids
}

// snapshot describes what is shown.
func (f *feed) snapshot(ctx context.Context) []view {
	list := []view{}
	for n, ids := range f.ids() {
		list = append(list, views(ctx, n, ids)...)
	}
	for _, v := range list {
		f.note(v)
	}
	return list
}

// compare tells of shared data that has changed since it was told. Nobody else notices: a Key tells
// nobody of its Set.
func (f *feed) compare(ctx context.Context) {
	for n, ids := range f.ids() {
		for _, v := range views(ctx, n, ids) {
			if f.note(v) {
				f.tell(message{"socket_updated", []any{map[string]any{"id": v.ID, "nsp": n.Name(), "data": v.Data}}})
			}
		}
	}
}

// note keeps the data that is told of a socket, and reports whether it has changed.
func (f *feed) note(v view) (changed bool) {
	encoded, err := packet.EncodeArgs(v.Data)
	if err != nil {
		return false // can't be: it came encoded
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.shown[v.ID]
	if s == nil {
		return false
	}
	changed = s.data != "" && s.data != string(encoded.JSON)
	s.data = string(encoded.JSON)
	return changed
}

// size returns how many sockets are shown.
func (f *feed) size() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.shown)
}

// views describes sockets of this server.
func views(ctx context.Context, n *socketio.Namespace, ids []string) (list []view) {
	sockets, err := n.To(ids...).Local().FetchSockets(ctx)
	if err != nil {
		return nil
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	for _, s := range sockets {
		if wanted[s.ID] { // and not one that has joined a room of that name
			list = append(list, newView(n, s))
		}
	}
	return list
}
