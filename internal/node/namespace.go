package node

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// defaultTimeout is the time that adapters wait for answers: Node's default for requestsTimeout.
const defaultTimeout = 5 * time.Second

// maxTimeout limits a worker's timeouts, in milliseconds, as setTimeout does.
const maxTimeout = 1<<31 - 1

func milliseconds(ms float64) time.Duration { return time.Duration(ms) * time.Millisecond }

// namespace is one namespace of one worker. Its sockets are in the Node process: it turns the
// requests of other servers into messages of the worker's own adapter, and the worker's answers
// into answers.
type namespace struct {
	b       *bridge
	name    string
	uid     string          // the worker's own; empty in the second generation
	adapter cluster.Adapter // nil: no server on another host

	mu       sync.Mutex // guards the rest
	pending  map[string]*pending
	remotes  []remote
	lastBeat time.Time // when the remotes last sent their heartbeats
	closed   bool
}

var _ cluster.Local = (*namespace)(nil)

// pending is an open question to the worker. The namespace calls take for each answer, one at a
// time. It returns true after the last.
type pending struct {
	take  func(k kind, data *ipc.Object) (last bool)
	until time.Time
}

func (s *namespace) limit() int { return s.b.c.h.cfg.MaxFrame }

// send sends a message to the worker. It fails only if the channel has ended.
func (s *namespace) send(o *ipc.Object) { _ = s.b.c.ch.sendValue(o) }

// fromOutside makes a message of a server on another host.
func (s *namespace) fromOutside(k kind, data *ipc.Object) *ipc.Object {
	return s.b.message(s.name, outside, k).Set("data", data)
}

// Name implements cluster.Local.
func (s *namespace) Name() string { return s.name }

// HasRoom implements cluster.Local. Only the worker knows its rooms.
func (s *namespace) HasRoom([]byte) bool { return true }

// packetOf makes the packet in a message to the worker.
func (b *bridge) packetOf(p packet.Payload) (*ipc.Object, error) {
	o := (&ipc.Object{}).Set("type", 2.0)
	if b.gen == injected { // decodes the text itself
		binary := &ipc.Array{}
		for _, a := range p.Attachments {
			binary.Items = append(binary.Items, a)
		}
		return o.Set("text", string(p.JSON)).Set("binary", binary), nil
	}
	args, err := valueOf(p)
	return o.Set("data", args), err
}

// Deliver implements cluster.Local.
func (s *namespace) Deliver(b *cluster.Broadcast) {
	p, err := s.b.packetOf(b.Data)
	if err != nil {
		s.b.c.h.metrics.malformed.Inc()
		return
	}
	s.send(s.fromOutside(kindBroadcast, (&ipc.Object{}).Set("packet", p).Set("opts", options(b.Target, b.Flags))))
}

// Apply implements cluster.Local.
func (s *namespace) Apply(o cluster.Order) {
	opts := options(o.Target, cluster.Flags{})
	switch o.Kind {
	case cluster.Join:
		s.send(s.fromOutside(kindJoin, (&ipc.Object{}).Set("opts", opts).Set("rooms", rooms(o.Rooms))))
	case cluster.Leave:
		s.send(s.fromOutside(kindLeave, (&ipc.Object{}).Set("opts", opts).Set("rooms", rooms(o.Rooms))))
	case cluster.Disconnect:
		s.send(s.fromOutside(kindDisconnect, (&ipc.Object{}).Set("opts", opts).Set("close", o.CloseTransport)))
	case cluster.Raise:
		s.sendEvent(o.Event, nil)
	}
}

// Answer implements cluster.Local. The worker's answers arrive later.
func (s *namespace) Answer(q cluster.Question, answer func(cluster.Answer)) {
	switch q.Kind {
	case cluster.AskSockets:
		s.askSockets(q.Target, func(found []cluster.SocketInfo) { answer(cluster.Answer{Sockets: found}) })
	case cluster.AskRooms:
		s.askSockets(cluster.Target{}, func(found []cluster.SocketInfo) { answer(cluster.Answer{Rooms: allRooms(found)}) })
	case cluster.AskServers:
		s.sendEvent(q.Event, func(p packet.Payload) { answer(cluster.Answer{Payload: p}) })
	case cluster.AskClients:
		s.askClients(q, answer)
	}
}

func (s *namespace) askClients(q cluster.Question, answer func(cluster.Answer)) {
	p, err := s.b.packetOf(q.Event)
	if err != nil {
		answer(cluster.Answer{})
		return
	}
	clients, answers := -1, 0
	id := s.ask(q.Timeout, func(k kind, data *ipc.Object) bool {
		switch k {
		case kindCount:
			clients, _ = data.Int("clientCount")
			answer(cluster.Answer{Clients: clients})
		case kindAck:
			if p, err := answerOf(data.Get("packet"), s.limit()); err == nil {
				answer(cluster.Answer{Ack: true, Payload: p})
			}
			answers++
		}
		return answers == clients
	})
	flags := q.Flags
	flags.Timeout = q.Timeout
	s.send(s.fromOutside(kindBroadcast, (&ipc.Object{}).Set("packet", p).Set("requestId", id).
		Set("opts", options(q.Target, flags))))
}

func (s *namespace) askSockets(t cluster.Target, found func([]cluster.SocketInfo)) {
	id := s.ask(defaultTimeout, func(k kind, data *ipc.Object) bool {
		if k == kindFetched {
			found(s.socketsOf(data.Get("sockets")))
		}
		return k == kindFetched
	})
	data := (&ipc.Object{}).Set("requestId", id)
	if s.b.gen == second {
		data.Set("workerId", float64(outsideWorker))
	}
	s.send(s.fromOutside(kindFetch, data.Set("opts", options(t, cluster.Flags{}))))
}

// allRooms returns the rooms of all sockets without duplicates.
func allRooms(sockets []cluster.SocketInfo) (rooms []string) {
	seen := make(map[string]bool)
	for _, info := range sockets {
		for _, room := range info.Rooms {
			if !seen[room] {
				seen[room] = true
				rooms = append(rooms, room)
			}
		}
	}
	return rooms
}

// sendEvent sends the worker a server-side event. reply is nil if nobody waits for an answer.
func (s *namespace) sendEvent(event packet.Payload, reply func(packet.Payload)) {
	args, err := valueOf(event)
	if err != nil {
		s.b.c.h.metrics.malformed.Inc()
		return
	}
	data := &ipc.Object{}
	if reply != nil {
		data.Set("requestId", s.ask(defaultTimeout, func(k kind, data *ipc.Object) bool {
			if p, err := answerOf(data.Get("packet"), s.limit()); k == kindEventAnswer && err == nil {
				reply(p)
			}
			return k == kindEventAnswer
		}))
		if s.b.gen == second {
			data.Set("workerId", float64(outsideWorker))
		}
	}
	s.send(s.fromOutside(kindEvent, data.Set("packet", args)))
}

// ask stores a question to the worker and returns its id.
func (s *namespace) ask(timeout time.Duration, take func(kind, *ipc.Object) bool) (id string) {
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	id = "outside " + newID()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[id] = &pending{take: take, until: time.Now().Add(timeout)}
	return id
}

// answered handles an answer of the worker. It returns false if no server on another host asked.
// Answers come one at a time.
func (s *namespace) answered(k kind, data *ipc.Object) bool {
	id := data.Text("requestId")
	s.mu.Lock()
	q := s.pending[id]
	s.mu.Unlock()
	if q == nil {
		return false
	}
	if q.take(k, data) {
		s.mu.Lock()
		delete(s.pending, id)
		s.mu.Unlock()
	}
	return true
}

// dropExpired drops the questions whose time is over.
func (s *namespace) dropExpired(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, q := range s.pending {
		if now.After(q.until) {
			delete(s.pending, id)
		}
	}
}

// close removes the namespace from the cluster.
func (s *namespace) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.adapter != nil {
		_ = s.adapter.Close() // it cannot fail
	}
}

// newID returns 16 hexadecimal digits, the form of ids in Node's adapters.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// socketsOf reads descriptions of sockets. It leaves out those that can't be sent to another
// server.
func (s *namespace) socketsOf(v ipc.Value) []cluster.SocketInfo {
	a, _ := v.(*ipc.Array)
	if a == nil {
		return nil
	}
	infos := make([]cluster.SocketInfo, 0, len(a.Items))
	for _, item := range a.Items {
		o, ok := item.(*ipc.Object)
		if !ok {
			continue
		}
		info := cluster.SocketInfo{ID: o.Text("id")}
		if rooms, ok := o.Get("rooms").(*ipc.Array); ok {
			info.Rooms = roomsOf(rooms)
		}
		var err error
		info.Data.JSON, err = ipc.AppendText(nil, o.Get("data"), s.limit(), &info.Data.Attachments)
		if err == nil {
			info.Handshake, err = ipc.AppendText(nil, o.Get("handshake"), s.limit(), nil)
		}
		if err != nil {
			s.b.c.log.Debug("socket cannot be described to another server", "namespace", s.name, "socket", info.ID, "error", err)
			continue
		}
		infos = append(infos, info)
	}
	return infos
}

// sockets writes descriptions of sockets.
func sockets(infos []cluster.SocketInfo) *ipc.Array {
	a := &ipc.Array{}
	for _, info := range infos {
		shake, err := ipc.FromText(info.Handshake, nil)
		if err != nil {
			continue
		}
		data, err := ipc.FromText(info.Data.JSON, info.Data.Attachments)
		if err != nil {
			data = &ipc.Object{}
		}
		a.Items = append(a.Items, (&ipc.Object{}).Set("id", info.ID).Set("handshake", shake).Set("rooms", rooms(info.Rooms)).Set("data", data))
	}
	return a
}
