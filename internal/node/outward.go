package node

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// outward sends a message of the worker to the servers on other hosts. The adapter queues
// messages without an answer. A goroutine waits for the answers of the others.
func (s *namespace) outward(k kind, m message) {
	err := m.opaque
	if err != nil {
		k = kindNone
	}
	switch k {
	case kindHello:
		s.introduce()
	case kindBroadcast:
		err = s.broadcast(m)
	case kindJoin:
		err = s.adapter.Order(cluster.Order{Kind: cluster.Join, Target: m.target, Rooms: m.rooms})
	case kindLeave:
		err = s.adapter.Order(cluster.Order{Kind: cluster.Leave, Target: m.target, Rooms: m.rooms})
	case kindDisconnect:
		err = s.adapter.Order(cluster.Order{Kind: cluster.Disconnect, Target: m.target, CloseTransport: m.closes})
	case kindFetch:
		s.inBackground(func(ctx context.Context) error { return s.fetch(ctx, m) })
	case kindEvent:
		err = s.event(m)
	}
	s.logUnsent(err)
}

// logUnsent counts and logs that a message of the worker didn't leave this host: JSON and msgpack
// can't carry it, it is too large, or Node's adapter would never have sent it.
func (s *namespace) logUnsent(err error) {
	if err == nil {
		return
	}
	s.b.c.h.metrics.malformed.Inc()
	reason := "value"
	if errors.Is(err, adapter.ErrTooLarge) {
		reason = "size"
	}
	s.b.c.uncarried(reason, 1, "namespace", s.name, "error", err)
}

// inBackground runs f, which asks other servers, in a goroutine. It does nothing if maxAsking
// questions are open.
func (s *namespace) inBackground(f func(ctx context.Context) error) {
	if s.b.asking.Add(1) > maxAsking {
		s.b.asking.Add(-1)
		s.b.c.uncarried("busy", 1, "namespace", s.name)
		return
	}
	ok := s.b.c.h.start(func() {
		defer s.b.asking.Add(-1)
		if err := f(s.b.c.ctx); err != nil && !errors.Is(err, adapter.ErrAway) && !errors.Is(err, context.DeadlineExceeded) {
			s.logUnsent(err)
		}
	})
	if !ok {
		s.b.asking.Add(-1)
	}
}

func (s *namespace) broadcast(m message) error {
	b := &cluster.Broadcast{Target: m.target, Flags: m.flags, Data: m.payload}
	if m.id == "" {
		return s.adapter.Broadcast(b)
	}
	remotes := s.remoteList()
	s.inBackground(func(ctx context.Context) error { return s.askRemoteClients(ctx, b, m.id, remotes) })
	return nil
}

// askRemoteClients asks the clients of other servers. The worker's request is complete when each remote has
// sent its number of clients and that many answers have arrived, so askRemoteClients holds the last number
// back until it knows all. If the worker knows of no remote it doesn't wait, but askRemoteClients still
// asks the clients of a server that has just come.
func (s *namespace) askRemoteClients(ctx context.Context, b *cluster.Broadcast, id string, remotes []remote) error {
	timeout := b.Flags.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	told, held := 0, 0 // remotes whose number the worker has, and clients that no number includes yet
	number := func(clients int) {
		s.send(s.reply(remotes[told], kindCount, (&ipc.Object{}).Set("requestId", id).Set("clientCount", float64(clients))))
		told++
	}
	q := cluster.Question{Kind: cluster.AskClients, Target: b.Target, Event: b.Data, Flags: b.Flags, Timeout: timeout}
	err := s.adapter.Ask(ctx, q, func(a cluster.Answer) {
		switch {
		case a.Ack && len(remotes) > 0:
			data := (&ipc.Object{}).Set("requestId", id)
			if v := answerValue(a.Payload); v != (ipc.Undefined{}) {
				data.Set("packet", v)
			}
			s.send(s.reply(remotes[0], kindAck, data))
		case a.Ack:
		case told < len(remotes)-1:
			number(a.Clients)
		default:
			held += a.Clients
		}
	})
	for told < len(remotes) && err == nil {
		clients := 0
		if told == len(remotes)-1 {
			clients = held
		}
		number(clients)
	}
	return err
}

// fetch sends the worker the sockets of all other servers, as if the first remote had them all.
func (s *namespace) fetch(ctx context.Context, m message) error {
	timeout := m.flags.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var infos []cluster.SocketInfo
	err := s.adapter.Ask(ctx, cluster.Question{Kind: cluster.AskSockets, Target: m.target}, func(a cluster.Answer) {
		infos = append(infos, a.Sockets...)
	})
	if err != nil {
		return err // the worker reports its own timeout
	}
	found := sockets(infos)
	for _, n := range s.remoteList() {
		s.send(s.reply(n, kindFetched, s.answerData(m).Set("sockets", found)))
		found = &ipc.Array{}
	}
	return nil
}

// answerData returns the data of an answer with its address: the question and, in the second
// generation, the worker.
func (s *namespace) answerData(question message) *ipc.Object {
	data := (&ipc.Object{}).Set("requestId", question.id)
	if s.b.gen == second {
		data.Set("workerId", float64(question.worker))
	}
	return data
}

func (s *namespace) event(m message) error {
	if m.id == "" {
		return s.adapter.Order(cluster.Order{Kind: cluster.Raise, Event: m.payload})
	}
	s.inBackground(func(ctx context.Context) error { return s.eventWithAck(ctx, m) })
	return nil
}

// eventWithAck sends the worker an answer for each remote. If fewer servers answered than there
// are remotes, some have left meanwhile; if more answered, the worker didn't know of all.
func (s *namespace) eventWithAck(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	var answers []packet.Payload
	err := s.adapter.Ask(ctx, cluster.Question{Kind: cluster.AskServers, Event: m.payload}, func(a cluster.Answer) {
		answers = append(answers, a.Payload)
	})
	remotes := s.remoteList()
	surplus := max(len(answers)-len(remotes), 0)
	for i, p := range answers {
		answer := s.answerData(m)
		if v := answerValue(p); v != (ipc.Undefined{}) {
			answer.Set("packet", v)
		}
		n := remote{uid: outside}
		if i >= surplus {
			n = remotes[i-surplus]
		}
		s.send(s.reply(n, kindEventAnswer, answer))
	}
	if err == nil && len(answers) < len(remotes) {
		s.setRemotes(len(answers))
	}
	return err
}
