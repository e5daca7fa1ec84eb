package link

import (
	"sync"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TakeRequest carries out what another server asks. It answers each request that wants an answer exactly once, because the
// asker waits for one.
func (n *Namespace) TakeRequest(q wire.Request) {
	if q.UID == n.UID || n.link.Config.Group.has([]byte(q.UID)) || q.Type < wire.Sockets || q.Type > wire.BroadcastWithAck ||
		q.Type == wire.BroadcastWithAck && q.Namespace != n.Name {
		n.link.Skip()
		return
	}
	n.link.Metrics.in.Inc()
	if q.SID != "" && q.Type >= wire.RemoteJoin && q.Type <= wire.RemoteDisconnect {
		n.carryOutOld(q)
		return
	}
	n.carryOut(q)
}

func (n *Namespace) carryOut(q wire.Request) {
	target := cluster.Target{Rooms: q.Rooms, Except: q.Except}
	switch q.Type {
	case wire.RemoteJoin:
		n.Local.ApplyJoin(target, q.JoinLeave)
	case wire.RemoteLeave:
		n.Local.ApplyLeave(target, q.JoinLeave)
	case wire.RemoteDisconnect:
		n.Local.ApplyDisconnect(target, q.Close)
	case wire.ServerSideEmit:
		n.raise(q)
	case wire.BroadcastWithAck:
		n.askClientsHere(q, target)
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

// carryOutOld carries out what servers before version 6 of Node's adapter ask for one socket. Only the server that has the
// socket answers.
func (n *Namespace) carryOutOld(q wire.Request) {
	target := cluster.Target{Rooms: []string{q.SID}}
	if !n.HasRoom([]byte(q.SID)) {
		return
	}
	n.describe(target, func(found []cluster.SocketInfo) {
		if len(found) == 0 {
			return
		}
		switch q.Type {
		case wire.RemoteJoin:
			n.Local.ApplyJoin(target, q.JoinLeave)
		case wire.RemoteLeave:
			n.Local.ApplyLeave(target, q.JoinLeave)
		case wire.RemoteDisconnect:
			n.Local.ApplyDisconnect(target, q.Close)
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
func (n *Namespace) raise(q wire.Request) {
	if q.ID == nil {
		n.Local.ServerSideEvent(q.Data, nil)
		return
	}
	n.Local.ServerSideEvent(q.Data, func(p packet.Payload) {
		n.respond(q, wire.Response{Type: wire.ServerSideEmit, Answer: p})
	})
}

// askClientsHere asks the clients here for acknowledgements. Their number goes out before the first answer: a Node server
// is done when it has as many answers as clients that it knows of.
func (n *Namespace) askClientsHere(q wire.Request, target cluster.Target) {
	timeout := q.Flags.Timeout
	if timeout <= 0 {
		timeout = n.link.Config.RequestsTimeout
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
func (n *Namespace) respond(q wire.Request, a wire.Response) {
	if q.ID == nil {
		return
	}
	a.ID = q.ID
	m, err := n.protocol.EncodeAnswer(q, a, q.UID != "" && n.link.peers.has(q.UID))
	if err == nil {
		err = n.Publish(m, false)
	}
	if err != nil {
		n.link.Log.Debug().Str("namespace", n.Name).Err(err).Msg("answer to another server not sent")
	}
}
