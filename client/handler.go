package client

import (
	"context"
	"errors"
	"sync"

	compiler "github.com/sidereal-io/sidereal/internal/handler"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Args are the undecoded arguments of an event or an acknowledgement.
type Args = packet.Args

// handler is a compiled handler.
type handler = compiler.Func[*Socket, Ack]

func newHandler(event string, f any) handler {
	return compiler.Compile[*Socket, Ack](compiler.Rules{Package: "client"}, "On", event, f)
}

// incoming is an event on its way through handlers, which don't keep it.
type incoming struct {
	compiler.Call[*Socket, Ack]
	event string
	ack   Ack // nil if the server doesn't wait for an answer
}

// calls are events that no handler has at the moment.
var calls = sync.Pool{New: func() any { return new(incoming) }}

// Context implements compiler.Sender.
func (e *incoming) Context() context.Context { return e.Socket.context() }

// Wanted implements compiler.Sender.
func (e *incoming) Wanted() bool { return e.ack != nil }

// Ack implements compiler.Sender.
func (e *incoming) Ack() Ack { return e.ack }

// Reply answers unless the event was answered before. The end of the connection is reported
// elsewhere.
func (e *incoming) Reply(results ...any) error {
	if e.ack == nil {
		return nil
	}
	if err := e.ack(results...); err != nil && !errors.Is(err, ErrAnswered) && !errors.Is(err, ErrDisconnected) {
		e.Socket.client.set.Log.Debug("answer not sent", "namespace", e.Socket.name, "event", e.event, "error", err)
	}
	return nil
}

// perform runs one task: the functions for all events, then the handlers of this one.
func (s *Socket) perform(t task) {
	if t.do != nil {
		t.do()
		return
	}
	r := s.handlers.now()
	for _, f := range r.any {
		f(t.event, t.args)
	}
	if handlers := r.events[t.event]; len(handlers) > 0 {
		s.handle(handlers, t)
	}
}

// handle calls the handlers of an event, and answers for each that fails.
func (s *Socket) handle(handlers []handler, t task) {
	e := calls.Get().(*incoming)
	defer func() {
		*e = incoming{}
		calls.Put(e)
	}()
	e.Socket, e.Args, e.Sender = s, t.args, e
	e.event, e.ack = t.event, newAck(s, t)
	for _, call := range handlers {
		err := call(&e.Call)
		if err == nil {
			continue
		}
		if unfit, ok := errors.AsType[*compiler.ArgsError](err); ok {
			s.client.set.Log.Debug("arguments don't fit the handler", "namespace", s.name, "event", t.event, "error", unfit)
		}
		_ = e.Reply(compiler.FailureOf(err, func(e *Error) compiler.Failure { return compiler.Failure{Message: e.Message, Data: e.Data} }))
	}
}
