package socketio

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// RemoteSocket describes a socket of any server, as it was when FetchSockets asked. Its methods act
// on that socket.
type RemoteSocket struct {
	ID        string
	Handshake Handshake
	Rooms     []string

	nsp  *Namespace
	data packet.Payload // an object
}

// newRemoteSocket leaves out a handshake that it can't read, rather than the socket.
func newRemoteSocket(n *Namespace, info cluster.SocketInfo) RemoteSocket {
	r := RemoteSocket{ID: info.ID, Rooms: info.Rooms, nsp: n, data: info.Data}
	_ = json.Unmarshal(info.Handshake, &r.Handshake)
	r.Handshake.Auth = r.Handshake.auth()
	return r
}

// FetchSockets describes the selected sockets. It waits for the other servers for the time that
// Timeout sets, else until the deadline of ctx, else for as long as the adapter does. Together with
// an error it returns the sockets it learned of: if servers didn't answer in time, the error is a
// *MissingError.
func (o Operator) FetchSockets(ctx context.Context) ([]RemoteSocket, error) {
	if o.nsp.pattern != nil {
		return nil, ErrParent
	}
	if o.flags.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.flags.Timeout)
		defer cancel()
	}
	infos := local{o.nsp}.describe(o.target)
	var err error
	if adapter := o.adapter(o.nsp); adapter != nil {
		err = adapter.Ask(ctx, cluster.Question{Kind: cluster.AskSockets, Target: o.target}, func(a cluster.Answer) {
			infos = append(infos, a.Sockets...)
		})
	}
	list := make([]RemoteSocket, len(infos))
	for i, info := range infos {
		list[i] = newRemoteSocket(o.nsp, info)
	}
	return list, err
}

func (r RemoteSocket) operator() Operator {
	o := r.nsp.To(r.ID)
	o.flags.ExpectSingleResponse = true
	return o
}

// DecodeData decodes the whole of the socket's shared data into v. A Key reads one member.
func (r RemoteSocket) DecodeData(v any) error {
	args, err := objectArgs(r.data)
	if err != nil {
		return err
	}
	return args.Decode(0, v)
}

// member implements AnySocket.
func (r RemoteSocket) member(k AnyKey) (value packet.Value, _ any, err error) {
	all, err := members(r.data)
	if err != nil {
		return value, nil, err
	}
	value, ok := all[k.Name()]
	if !ok {
		return value, nil, ErrNoValue
	}
	return value, nil, nil
}

// Emit sends an event to the socket.
func (r RemoteSocket) Emit(event string, args ...any) error { return r.operator().Emit(event, args...) }

// EmitContext is Emit with a context: see Operator.EmitContext.
func (r RemoteSocket) EmitContext(ctx context.Context, event string, args ...any) error {
	return r.operator().EmitContext(ctx, event, args...)
}

// EmitWithAck sends an event to the socket and waits for the first value of its answer. It returns
// ErrDisconnected if no server has the socket. If the answer reports a failure, it returns the
// answer and an *AnswerError.
func (r RemoteSocket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	answers, err := r.operator().EmitWithAck(ctx, event, args...)
	if len(answers) > 0 {
		return answers[0], answers[0].Err()
	}
	if err == nil {
		err = ErrDisconnected
	}
	return Args{}, err
}

// Timeout returns an Operator on the socket whose EmitWithAck waits for d.
func (r RemoteSocket) Timeout(d time.Duration) Operator { return r.operator().Timeout(d) }

// Join adds the socket to rooms.
func (r RemoteSocket) Join(rooms ...string) error { return r.operator().SocketsJoin(rooms...) }

// Leave removes the socket from rooms.
func (r RemoteSocket) Leave(rooms ...string) error { return r.operator().SocketsLeave(rooms...) }

// Disconnect disconnects the socket, and with closeTransport also closes its connection.
func (r RemoteSocket) Disconnect(closeTransport bool) error {
	return r.operator().DisconnectSockets(closeTransport)
}

// ServerSideEmit raises an event on the other servers of the cluster. Their OnServer handlers get
// it. It doesn't wait for them.
func (n *Namespace) ServerSideEmit(event string, args ...any) error {
	if n.pattern != nil {
		return ErrParent
	}
	p, err := serverSide(event, args)
	if err != nil || n.adapter == nil {
		return err
	}
	return n.adapter.Order(cluster.Order{Kind: cluster.Raise, Event: p})
}

// ServerSideEmitContext is ServerSideEmit unless ctx has ended; then it returns the error of ctx.
func (n *Namespace) ServerSideEmitContext(ctx context.Context, event string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.ServerSideEmit(event, args...)
}

// ServerSideEmitTo raises an event on one other server, by the ID of its Peer. It returns ErrNoPeer
// if that has left.
func (n *Namespace) ServerSideEmitTo(peer, event string, args ...any) error {
	p, err := n.serverSideTo(event, args)
	if err != nil {
		return err
	}
	return n.adapter.Order(cluster.Order{Kind: cluster.Raise, Event: p, Peer: peer})
}

// ServerSideEmitToContext is ServerSideEmitTo unless ctx has ended; then it returns the error of
// ctx.
func (n *Namespace) ServerSideEmitToContext(ctx context.Context, peer, event string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return n.ServerSideEmitTo(peer, event, args...)
}

// ServerSideEmitToWithAck raises an event on one other server and returns the answer of its
// handler. It waits until the deadline of ctx, or for as long as the adapter does. If the handler
// failed, it returns the answer and an *AnswerError.
func (n *Namespace) ServerSideEmitToWithAck(ctx context.Context, peer, event string, args ...any) (Args, error) {
	p, err := n.serverSideTo(event, args)
	if err != nil {
		return Args{}, err
	}
	answers, err := n.askServers(ctx, p, peer)
	switch {
	case err != nil:
		return Args{}, err
	case len(answers) == 0:
		return Args{}, ErrNoPeer
	}
	return answers[0], answers[0].Err()
}

// serverSideTo encodes an event for one other server.
func (n *Namespace) serverSideTo(event string, args []any) (packet.Payload, error) {
	switch {
	case n.pattern != nil:
		return packet.Payload{}, ErrParent
	case n.adapter == nil:
		return packet.Payload{}, ErrNoPeer
	}
	return serverSide(event, args)
}

// Peer is another server of the cluster, in one namespace.
type Peer = cluster.Peer

// Peers lists the other servers of the namespace that are known by name; Node servers aren't. A new
// server appears within a moment. A killed server stays for some seconds.
func (n *Namespace) Peers() []Peer {
	if n.pattern != nil || n.adapter == nil {
		return nil
	}
	return n.adapter.Peers()
}

// AllRooms returns the rooms of the sockets of all servers, each once and in order. The id of each
// socket is one of its rooms. Together with an error it returns the rooms it learned of.
func (n *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	if n.pattern != nil {
		return nil, ErrParent
	}
	rooms := n.rooms.names()
	var err error
	if n.adapter != nil {
		err = n.adapter.Ask(ctx, cluster.Question{Kind: cluster.AskRooms}, func(a cluster.Answer) {
			rooms = append(rooms, a.Rooms...)
		})
	}
	slices.Sort(rooms)
	return slices.Compact(rooms), err
}

// ServerSideEmitWithAck raises an event on the other servers and returns one answer of each, also
// of a server whose handler failed: Args.Err tells.
// Together with an error it returns the answers that came: if servers didn't answer in time, the
// error is a *MissingError.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	if n.pattern != nil {
		return nil, ErrParent
	}
	p, err := serverSide(event, args)
	if err != nil || n.adapter == nil {
		return nil, err
	}
	return n.askServers(ctx, p, "")
}

// askServers raises an event on the other servers, or on one of them, and returns the answers that
// came.
func (n *Namespace) askServers(ctx context.Context, p packet.Payload, peer string) ([]Args, error) {
	answers := []Args{}
	var odd error // an answer that can't be read
	err := n.adapter.Ask(ctx, cluster.Question{Kind: cluster.AskServers, Event: p, Peer: peer}, func(a cluster.Answer) {
		args, failure := a.Payload.Args()
		if failure == nil {
			answers = append(answers, args)
		} else if odd == nil {
			odd = failure
		}
	})
	if err == nil {
		err = odd
	}
	return answers, err
}

// serverSide encodes an event for servers. Two more names belong to the server.
func serverSide(event string, args []any) (packet.Payload, error) {
	if packet.Reserved(event) || event == "connection" || event == "new_namespace" {
		return packet.Payload{}, ErrReserved
	}
	return packet.EncodeEvent(event, args...)
}

// ServerCount returns the number of servers that have the namespace, this one included.
func (n *Namespace) ServerCount(ctx context.Context) (int, error) {
	if n.pattern != nil {
		return 0, ErrParent
	}
	if n.adapter == nil {
		return 1, nil
	}
	return n.adapter.ServerCount(ctx)
}
