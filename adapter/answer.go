package adapter

import (
	"sync"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// take does what another server asks, and answers where an answer is due: exactly one for each request, or requests would
// hang elsewhere.
func (n *namespace) take(q wire.Request) {
	if q.UID == n.uid || n.r.cfg.Group.has([]byte(q.UID)) || q.Type < wire.Sockets || q.Type > wire.BroadcastWithAck ||
		q.Type == wire.BroadcastWithAck && q.Namespace != n.name {
		n.r.metrics.skipped.Inc()
		return
	}
	n.r.metrics.in.Inc()
	if q.SID != "" && q.Type >= wire.RemoteJoin && q.Type <= wire.RemoteDisconnect {
		n.carryOutOld(q)
		return
	}
	n.carryOut(q)
}

func (n *namespace) carryOut(q wire.Request) {
	target := cluster.Target{Rooms: q.Rooms, Except: q.Except}
	switch q.Type {
	case wire.RemoteJoin:
		n.local.ApplyJoin(target, q.JoinLeave)
	case wire.RemoteLeave:
		n.local.ApplyLeave(target, q.JoinLeave)
	case wire.RemoteDisconnect:
		n.local.ApplyDisconnect(target, q.Close)
	case wire.ServerSideEmit:
		n.raise(q)
	case wire.BroadcastWithAck:
		n.survey(q, target)
	case wire.Sockets:
		n.describe(cluster.Target{Rooms: q.JoinLeave}, func(found []cluster.SocketInfo) {
			n.respond(q, wire.Response{Type: wire.NoType, SocketIDs: ids(found)})
		})
	case wire.AllRooms:
		n.listRooms(func(rooms []string) { n.respond(q, wire.Response{Type: wire.NoType, Rooms: rooms}) })
	case wire.RemoteFetch:
		n.describe(target, func(found []cluster.SocketInfo) {
			n.respond(q, wire.Response{Type: wire.NoType, Sockets: wireSockets(found)})
		})
	}
}

func wireSockets(infos []cluster.SocketInfo) []wire.Socket {
	sockets := []wire.Socket{}
	for _, info := range infos {
		sockets = append(sockets, wireSocket(info))
	}
	return sockets
}

// carryOutOld does what servers before version 6 of Node's adapter ask for one socket. Only who has it answers.
func (n *namespace) carryOutOld(q wire.Request) {
	target := cluster.Target{Rooms: []string{q.SID}}
	if !n.hasRoom([]byte(q.SID)) {
		return
	}
	n.describe(target, func(found []cluster.SocketInfo) {
		if len(found) == 0 {
			return
		}
		switch q.Type {
		case wire.RemoteJoin:
			n.local.ApplyJoin(target, q.JoinLeave)
		case wire.RemoteLeave:
			n.local.ApplyLeave(target, q.JoinLeave)
		case wire.RemoteDisconnect:
			n.local.ApplyDisconnect(target, q.Close)
		}
		n.respond(q, wire.Response{Type: wire.NoType})
	})
}

func ids(sockets []cluster.SocketInfo) []string {
	ids := []string{}
	for _, s := range sockets {
		ids = append(ids, s.ID)
	}
	return ids
}

// raise runs the handlers of a server-side event.
func (n *namespace) raise(q wire.Request) {
	if q.ID == nil {
		n.local.ServerSideEvent(q.Data, nil)
		return
	}
	n.local.ServerSideEvent(q.Data, func(p packet.Payload) {
		n.respond(q, wire.Response{Type: wire.ServerSideEmit, Answer: p})
	})
}

// survey asks the clients here. Their number goes out before the first answer: Node's servers are done when the answers
// are as many as the clients that they know of.
func (n *namespace) survey(q wire.Request, target cluster.Target) {
	timeout := q.Flags.Timeout
	if timeout <= 0 {
		timeout = n.r.cfg.RequestsTimeout
	}
	var (
		mu    sync.Mutex
		open  bool
		early []packet.Payload
	)
	pass := func(p packet.Payload) { n.respond(q, wire.Response{Type: wire.BroadcastAck, Answer: p}) }
	n.deliverWithAck(&cluster.Broadcast{Target: target, Flags: localFlags(q.Flags), Data: q.Data}, timeout,
		func(clients int) {
			mu.Lock()
			defer mu.Unlock()
			n.respond(q, wire.Response{Type: wire.BroadcastClientCount, ClientCount: clients})
			open = true
			for _, p := range early {
				pass(p)
			}
		},
		func(p packet.Payload) {
			mu.Lock()
			defer mu.Unlock()
			if open {
				pass(p)
			} else {
				early = append(early, p)
			}
		})
}

// respond answers a request.
func (n *namespace) respond(q wire.Request, a wire.Response) {
	if q.ID == nil {
		return
	}
	a.ID = q.ID
	m, err := n.talk.answer(q, a, q.UID != "" && n.r.peers.has(q.UID))
	if err == nil {
		err = n.publish(m, false)
	}
	if err != nil {
		n.r.log.Debug().Str("namespace", n.name).Err(err).Msg("answer to another server not sent")
	}
}
