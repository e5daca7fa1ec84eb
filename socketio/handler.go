package socketio

import (
	"context"
	"errors"

	compiler "github.com/sidereal-io/sidereal/internal/handler"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Args are the undecoded arguments of an event or an acknowledgement. As a handler's parameter it
// takes all arguments that the parameters before it left. As an argument of Emit it stands for all
// its values.
type Args = packet.Args

// Value is one undecoded argument, or a part of one, binary parts included.
type Value = packet.Value

// Ack answers an event. It returns ErrAnswered if the event was answered before. A handler may keep
// it and call it later, on any goroutine. As a handler's parameter it is nil when the client
// doesn't wait for an answer.
type Ack func(args ...any) error

// handler is a compiled handler.
type handler struct {
	call compiler.Func[*Socket, Ack]
	pace pace
}

// newHandler compiles fn. It panics if fn isn't a handler. Handlers of other servers' events, which
// OnServer registers, have no socket.
func newHandler(caller, event string, fn any, socket bool) *handler {
	rules := compiler.Rules{Package: "socketio", NoSocket: !socket}
	h := &handler{call: compiler.Compile[*Socket, Ack](rules, caller, event, fn)}
	h.pace.begin()
	return h
}

// call is one event on its way through handlers, which don't keep it. Its socket is nil for an
// event of another server.
type call struct {
	compiler.Call[*Socket, Ack]
	life   context.Context // of such an event, or as Trace.Handle made it; nil means the socket's
	answer *answer         // nil if nobody waits for one
}

func (c *call) begin(s *Socket, life context.Context, args Args) {
	c.Socket, c.Args, c.life, c.Sender = s, args, life, c
}

// Context returns the context of the handler. A socket makes its own on first use.
func (c *call) Context() context.Context {
	if c.life != nil {
		return c.life
	}
	return c.Socket.Context()
}

// Wanted implements compiler.Sender.
func (c *call) Wanted() bool { return c.answer != nil }

// Ack implements compiler.Sender.
func (c *call) Ack() Ack {
	if c.answer == nil {
		return nil
	}
	return c.answer.send
}

// Reply answers unless the event was answered before.
func (c *call) Reply(results ...any) error {
	if c.answer == nil {
		return nil
	}
	if err := c.answer.send(results...); !errors.Is(err, ErrAnswered) {
		return err
	}
	return nil
}

// failure returns what the sender of an event is told of a handler's error.
func failure(err error) compiler.Failure {
	return compiler.FailureOf(err, func(e *Error) compiler.Failure { return compiler.Failure{Message: e.Message, Data: e.Data} })
}
