package link

import (
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TakeRequest carries out what another server asks. It answers each request that wants an answer
// exactly once, because the asker waits for one.
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
	case wire.RemoteJoin, wire.RemoteLeave, wire.RemoteDisconnect:
		n.Local.Apply(order(q, target))
	case wire.ServerSideEmit:
		n.raiseHere(q)
	case wire.BroadcastWithAck:
		n.askClientsHere(q, target)
	case wire.Sockets:
		n.describe(cluster.Target{Rooms: q.JoinLeave}, func(found []cluster.SocketInfo) {
			n.respond(q, wire.Response{Type: wire.NoType, SocketIDs: ids(found)})
		})
	case wire.AllRooms:
		n.Local.Answer(cluster.Question{Kind: cluster.AskRooms}, func(a cluster.Answer) {
			n.respond(q, wire.Response{Type: wire.NoType, Rooms: append([]string{}, a.Rooms...)})
		})
	case wire.RemoteFetch:
		n.describe(target, func(found []cluster.SocketInfo) {
			n.respond(q, wire.Response{Type: wire.NoType, Sockets: wireSockets(found)})
		})
	}
}

// order is a request to join, leave or disconnect.
func order(q wire.Request, t cluster.Target) cluster.Order {
	o := cluster.Order{Kind: cluster.Disconnect, Target: t, Rooms: q.JoinLeave, CloseTransport: q.Close}
	switch q.Type {
	case wire.RemoteJoin:
		o.Kind = cluster.Join
	case wire.RemoteLeave:
		o.Kind = cluster.Leave
	}
	return o
}

// describe calls found with the matching sockets here.
func (n *Namespace) describe(t cluster.Target, found func([]cluster.SocketInfo)) {
	n.Local.Answer(cluster.Question{Kind: cluster.AskSockets, Target: t}, func(a cluster.Answer) { found(a.Sockets) })
}

func wireSockets(infos []cluster.SocketInfo) []wire.Socket {
	sockets := []wire.Socket{}
	for _, info := range infos {
		sockets = append(sockets, wireSocket(info))
	}
	return sockets
}

// carryOutOld carries out what servers before version 6 of Node's adapter ask for one socket. Only
// the server that has the socket answers.
func (n *Namespace) carryOutOld(q wire.Request) {
	target := cluster.Target{Rooms: []string{q.SID}}
	if !n.HasRoom([]byte(q.SID)) {
		return
	}
	n.describe(target, func(found []cluster.SocketInfo) {
		if len(found) == 0 {
			return
		}
		n.Local.Apply(order(q, target))
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

// raiseHere runs the handlers of a server-side event.
func (n *Namespace) raiseHere(q wire.Request) {
	if q.ID == nil {
		n.Local.Apply(cluster.Order{Kind: cluster.Raise, Event: q.Data})
		return
	}
	n.Local.Answer(cluster.Question{Kind: cluster.AskServers, Event: q.Data}, func(a cluster.Answer) {
		n.respond(q, wire.Response{Type: wire.ServerSideEmit, Answer: a.Payload})
	})
}

// askClientsHere asks the clients here for acknowledgements. Their number goes out before the first
// answer: a Node server is done when it has as many answers as clients that it knows of.
func (n *Namespace) askClientsHere(q wire.Request, target cluster.Target) {
	timeout := q.Flags.Timeout
	if timeout <= 0 {
		timeout = n.link.Config.RequestsTimeout
	}
	counted := false
	var early []packet.Payload
	ack := func(p packet.Payload) { n.respond(q, wire.Response{Type: wire.BroadcastAck, Answer: p}) }
	n.Local.Answer(cluster.Question{
		Kind: cluster.AskClients, Target: target, Event: q.Data, Flags: localFlags(q.Flags), Timeout: timeout,
	}, func(a cluster.Answer) {
		switch {
		case !a.Ack:
			n.respond(q, wire.Response{Type: wire.BroadcastClientCount, ClientCount: a.Clients})
			counted = true
			for _, p := range early {
				ack(p)
			}
		case counted:
			ack(a.Payload)
		default:
			early = append(early, a.Payload)
		}
	})
}

// respond answers a request.
func (n *Namespace) respond(q wire.Request, a wire.Response) {
	if q.ID == nil {
		return
	}
	a.ID = q.ID
	err := n.Fits(a.Answer)
	var m Message
	if err == nil {
		m, err = n.protocol.EncodeAnswer(q, a)
	}
	if err == nil {
		err = n.Publish(m, false)
	}
	if err != nil {
		n.link.Log.Debug("answer to another server not sent", "namespace", n.Name, "error", err)
	}
}
