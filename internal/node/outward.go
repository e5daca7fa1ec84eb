package node

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// outward carries a message of the worker to the servers beyond this host. What has no answer is queued by the adapter; what
// has one is asked by a goroutine of its own.
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
	s.complain(err)
}

// complain says that a message of the worker did not get beyond this host: it holds what JSON and msgpack cannot carry, or is
// none that Node's adapter would have sent.
func (s *namespace) complain(err error) {
	if err != nil {
		s.b.c.h.metrics.malformed.Inc()
		s.b.c.log.Debug("message not carried beyond this host", "namespace", s.name, "error", err)
	}
}

// inBackground runs f, which asks other servers, unless too much is asked already.
func (s *namespace) inBackground(f func(ctx context.Context) error) {
	if s.b.asking.Add(1) > maxAsking {
		s.b.asking.Add(-1)
		return
	}
	ok := s.b.c.h.start(func() {
		defer s.b.asking.Add(-1)
		if err := f(s.b.c.ctx); err != nil && !errors.Is(err, adapter.ErrAway) && !errors.Is(err, context.DeadlineExceeded) {
			s.complain(err)
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
	s.inBackground(func(ctx context.Context) error { return s.survey(ctx, b, m.id, remotes) })
	return nil
}

// survey asks the clients of other servers. The worker is done when each remote has given a number and the answers are as many
// as the numbers say: so the last number is held back until all is known. Where it knows of no remote it waits for nobody, but
// the clients of one that has just come are asked all the same.
func (s *namespace) survey(ctx context.Context, b *cluster.Broadcast, id string, remotes []remote) error {
	timeout := b.Flags.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	told, held := 0, 0 // remotes that have given their number, and clients whose number is not told yet
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

// fetch describes the sockets of other servers: the first remote has them all, the others have none.
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
		return err // the worker's own time runs out, and says so
	}
	found := sockets(infos)
	for _, n := range s.remoteList() {
		s.send(s.reply(n, kindFetched, s.addressed(m).Set("sockets", found)))
		found = &ipc.Array{}
	}
	return nil
}

// addressed begins the data of an answer.
func (s *namespace) addressed(question message) *ipc.Object {
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

// eventWithAck collects the answers of other servers. Each is some remote's. Where fewer came than there are remotes, the others
// have left meanwhile; where more came, the worker did not know of all.
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
		answer := s.addressed(m)
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
