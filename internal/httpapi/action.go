package httpapi

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// action is what a request, or a line of a batch, asks for.
type action struct {
	operation string
	namespace string
	// send carries the action out. It is one command to Redis.
	send func(ctx context.Context, e *emitter.Emitter) error
	// ask, if set, carries it out in place of send and waits for answers, for the time wait.
	ask  func(ctx context.Context, a cluster.Adapter) (any, *problem)
	wait time.Duration

	once *once // nil without an Idempotency-Key
}

// parsers are the operations that have a body, by name.
var parsers = map[string]func(body []byte, line bool) (*action, *problem){
	"emit":         parseEmit,
	"join":         parseJoin,
	"leave":        parseLeave,
	"disconnect":   parseDisconnect,
	"server-event": parseServerEvent,
}

func parseEmit(body []byte, line bool) (*action, *problem) {
	var b emitBody
	if fault := decode(body, &b); fault != nil {
		return nil, fault
	}
	args, fault := b.check(line, b.Event.value, b.Args)
	if fault != nil {
		return nil, fault
	}
	a, fault := b.action("emit", func(ctx context.Context, o emitter.Operator) error {
		if b.Volatile.on {
			o = o.Volatile()
		}
		return o.Emit(ctx, b.Event.value, args)
	})
	if fault != nil || b.Timeout.Duration == 0 {
		return a, fault
	}
	event, err := packet.EncodeEvent(b.Event.value, args)
	if err != nil {
		return nil, asProblem(err)
	}
	target := cluster.Target{Rooms: b.selected(), Except: b.Except.list}
	a.wait = b.Timeout.Duration
	a.ask = func(ctx context.Context, to cluster.Adapter) (any, *problem) {
		return askClients(ctx, to, target, event, b.Volatile.on, b.Timeout.Duration)
	}
	return a, nil
}

func parseJoin(body []byte, line bool) (*action, *problem) {
	var b joinBody
	if fault := decode(body, &b); fault != nil {
		return nil, fault
	}
	if len(b.Join.list) == 0 {
		return nil, newProblem("missing-member", "join must name the rooms to join").at("/join")
	}
	if fault := b.checkOp(line); fault != nil {
		return nil, fault
	}
	return b.action("join", func(ctx context.Context, o emitter.Operator) error { return o.SocketsJoin(ctx, b.Join.list...) })
}

func parseLeave(body []byte, line bool) (*action, *problem) {
	var b leaveBody
	if fault := decode(body, &b); fault != nil {
		return nil, fault
	}
	if len(b.Leave.list) == 0 {
		return nil, newProblem("missing-member", "leave must name the rooms to leave").at("/leave")
	}
	if fault := b.checkOp(line); fault != nil {
		return nil, fault
	}
	return b.action("leave", func(ctx context.Context, o emitter.Operator) error { return o.SocketsLeave(ctx, b.Leave.list...) })
}

func parseDisconnect(body []byte, line bool) (*action, *problem) {
	var b disconnectBody
	if fault := decode(body, &b); fault != nil {
		return nil, fault
	}
	if fault := b.checkOp(line); fault != nil {
		return nil, fault
	}
	return b.action("disconnect", func(ctx context.Context, o emitter.Operator) error { return o.DisconnectSockets(ctx, b.Close.on) })
}

func parseServerEvent(body []byte, line bool) (*action, *problem) {
	var b serverEventBody
	if fault := decode(body, &b); fault != nil {
		return nil, fault
	}
	s := selection{Op: b.Op, Namespace: b.Namespace}
	args, fault := s.check(line, b.Event.value, b.Args)
	if fault != nil {
		return nil, fault
	}
	namespace, fault := s.namespace()
	if fault != nil {
		return nil, fault
	}
	a := &action{operation: "server-event", namespace: namespace, send: func(ctx context.Context, e *emitter.Emitter) error {
		return e.Of(namespace).ServerSideEmit(ctx, b.Event.value, args)
	}}
	if b.Timeout.Duration == 0 {
		return a, nil
	}
	event, err := packet.EncodeEvent(b.Event.value, args)
	if err != nil {
		return nil, asProblem(err)
	}
	a.wait = b.Timeout.Duration
	a.ask = func(ctx context.Context, to cluster.Adapter) (any, *problem) {
		return askServers(ctx, to, event, b.Timeout.Duration)
	}
	return a, nil
}

// check checks what events have in common.
func (s *selection) check(line bool, event string, args []byte) (packet.Args, *problem) {
	if event == "" {
		return packet.Args{}, newProblem("missing-member", "event must name the event").at("/event")
	}
	if packet.Reserved(event) {
		return packet.Args{}, newProblem("bad-value", "event has a name that Socket.IO keeps for itself").at("/event")
	}
	if fault := s.checkOp(line); fault != nil {
		return packet.Args{}, fault
	}
	parsed, err := parseArgs(args)
	return parsed, asProblem(err)
}

// checkOp: only lines of a batch name their operation.
func (s *selection) checkOp(line bool) *problem {
	if !line && s.Op.value != "" {
		return newProblem("unknown-member", `"op" isn't a member of this request: the path names the operation`).at("/op")
	}
	return nil
}

// namespace is the namespace of a body; the main one if it names none.
func (s *selection) namespace() (string, *problem) {
	switch n := s.Namespace.value; {
	case n == "":
		return "/", nil
	case !strings.HasPrefix(n, "/"):
		return "", newProblem("bad-value", "namespace must begin with a slash").at("/namespace")
	default:
		return n, nil
	}
}

// selected are the rooms of the selection. A socket is alone in the room of its id.
func (s *selection) selected() []string { return slices.Concat(s.Rooms.list, s.Sockets.list) }

// action makes the action that does something with the selected sockets.
func (s *selection) action(operation string, do func(context.Context, emitter.Operator) error) (*action, *problem) {
	namespace, fault := s.namespace()
	if fault != nil {
		return nil, fault
	}
	// An empty list would select everybody, and comes from programs that found nobody.
	if (s.Rooms.given || s.Sockets.given) && len(s.Rooms.list)+len(s.Sockets.list) == 0 {
		return nil, newProblem("bad-value", "an empty list selects nobody; leave rooms and sockets out to select everybody").at("/rooms")
	}
	selected := s.selected()
	return &action{operation: operation, namespace: namespace, send: func(ctx context.Context, e *emitter.Emitter) error {
		return do(ctx, e.Of(namespace).To(selected...).Except(s.Except.list...))
	}}, nil
}
