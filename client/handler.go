package client

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Args are the raw arguments of an event or an acknowledgement, decoded when asked for.
type Args = packet.Args

var (
	contextType = reflect.TypeFor[context.Context]()
	socketType  = reflect.TypeFor[*Socket]()
	argsType    = reflect.TypeFor[packet.Args]()
	ackType     = reflect.TypeFor[Ack]()
	errorType   = reflect.TypeFor[error]()
)

// handler is a function given to On.
type handler struct {
	direct func(t task, ack Ack) // of a common type, called without reflection; else nil
	f      reflect.Value
	*signature
}

// signature is what is known of a function type. Each type is looked at once.
type signature struct {
	context, socket bool
	acks            bool           // the last parameter is an Ack: the handler answers by itself
	params          []reflect.Type // the arguments, without a variadic one
	rest            reflect.Type   // element type of the variadic parameter, or nil
	results         int            // without the error
	fails           bool           // the last result is an error
}

var signatures sync.Map // reflect.Type -> *signature

func newHandler(event string, f any) *handler {
	switch f := f.(type) {
	case func():
		return &handler{direct: func(task, Ack) { f() }}
	case func(packet.Args):
		return &handler{direct: func(t task, _ Ack) { f(t.args) }}
	case func(packet.Args, Ack):
		return &handler{direct: func(t task, ack Ack) { f(t.args, ack) }}
	}
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Func || v.IsNil() {
		panic(fmt.Sprintf("client: On(%q): the handler is a %T, must be a function", event, f))
	}
	known, ok := signatures.Load(v.Type())
	if !ok {
		sig, err := newSignature(v.Type())
		if err != nil {
			panic(fmt.Sprintf("client: On(%q): %v: %v; handlers are func([context.Context,] [*client.Socket,] args...) [(results..., error)]", event, v.Type(), err))
		}
		known, _ = signatures.LoadOrStore(v.Type(), sig)
	}
	return &handler{f: v, signature: known.(*signature)}
}

func newSignature(t reflect.Type) (*signature, error) {
	sig := new(signature)
	n := t.NumIn()
	if t.IsVariadic() {
		n--
		sig.rest = t.In(n).Elem()
	}
	for i := range n {
		switch p := t.In(i); {
		case p == contextType:
			if i != 0 {
				return nil, errors.New("a context.Context must be the first parameter")
			}
			sig.context = true
		case p == socketType:
			if len(sig.params) > 0 || sig.socket {
				return nil, errors.New("a *client.Socket must stand before the arguments")
			}
			sig.socket = true
		case p != ackType && !decodable(p):
			return nil, fmt.Errorf("a %v cannot be decoded", p)
		case p == argsType && i < t.NumIn()-1 && !(i == t.NumIn()-2 && t.In(i+1) == ackType):
			return nil, errors.New("an Args takes all the rest and must stand last, or before an Ack")
		case p == ackType && i < t.NumIn()-1:
			return nil, errors.New("an Ack must stand last")
		default:
			sig.params = append(sig.params, p)
			sig.acks = p == ackType
		}
	}
	if sig.rest != nil && (!decodable(sig.rest) || sig.rest == argsType) {
		return nil, fmt.Errorf("a variadic %v cannot be decoded", sig.rest)
	}
	sig.results = t.NumOut()
	if n := t.NumOut(); n > 0 && t.Out(n-1) == errorType {
		sig.fails, sig.results = true, n-1
	}
	return sig, nil
}

// decodable reports whether there can be values of a type in an event.
func decodable(t reflect.Type) bool {
	return t.Kind() != reflect.Chan && t.Kind() != reflect.Func && (t.Kind() != reflect.Interface || t.NumMethod() == 0)
}

// call runs the handler for an event and answers the server, if it asked for an answer and the handler gives one.
func (h *handler) call(s *Socket, t task) {
	ack := s.ackOf(t)
	if h.direct != nil {
		h.direct(t, ack)
		return
	}
	in, err := h.arguments(s, t, ack)
	if err != nil {
		s.client.set.Log.Debug().Str("namespace", s.name).Str("event", t.event).Err(err).Msg("arguments not decoded")
		err = &Error{Message: err.Error()}
	}
	var out []reflect.Value
	if err == nil {
		out = h.f.Call(in)
		if h.fails {
			err, _ = out[h.results].Interface().(error)
		}
	}
	switch {
	case ack == nil:
	case err != nil:
		_ = ack(shown(err)) // the connection's end is reported elsewhere
	case h.results > 0 || h.fails && !h.acks:
		values := make([]any, h.results)
		for i := range values {
			values[i] = out[i].Interface()
		}
		if err := ack(values...); err != nil && !errors.Is(err, ErrAnswered) {
			s.client.set.Log.Debug().Str("namespace", s.name).Str("event", t.event).Err(err).Msg("answer not sent")
		}
	}
}

// arguments decodes the event's arguments into what the function takes.
func (h *handler) arguments(s *Socket, t task, ack Ack) ([]reflect.Value, error) {
	in := make([]reflect.Value, 0, len(h.params)+3)
	if h.context {
		in = append(in, reflect.ValueOf(s.context()))
	}
	if h.socket {
		in = append(in, reflect.ValueOf(s))
	}
	next := 0
	decode := func(p reflect.Type) error {
		v := reflect.New(p)
		if next < t.args.Len() {
			if err := t.args.Decode(next, v.Interface()); err != nil {
				return err
			}
		}
		next++
		in = append(in, v.Elem())
		return nil
	}
	for _, p := range h.params {
		switch p {
		case argsType:
			next = min(next, t.args.Len())
			in = append(in, reflect.ValueOf(t.args.Slice(next, t.args.Len())))
		case ackType:
			in = append(in, reflect.ValueOf(ack))
		default:
			if err := decode(p); err != nil {
				return nil, err
			}
		}
	}
	for h.rest != nil && next < t.args.Len() {
		if err := decode(h.rest); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// ackOf makes the answer function of an event; nil if no answer was asked for.
func (s *Socket) ackOf(t task) Ack {
	if t.id == packet.NoID {
		return nil
	}
	a := &pendingAck{socket: s, conn: t.conn, id: t.id}
	return a.answer
}

type pendingAck struct {
	socket *Socket
	conn   *engine.Conn
	id     int64
	given  atomic.Bool
}

func (a *pendingAck) answer(args ...any) error {
	if a.given.Swap(true) {
		return ErrAnswered
	}
	return a.socket.reply(a.conn, a.id, args)
}

// shown is an error as the server gets it.
func shown(err error) any {
	body := struct {
		Error string `json:"error"`
		Data  any    `json:"data,omitempty"`
	}{Error: "internal error"}
	if e, ok := errors.AsType[*Error](err); ok {
		body.Error, body.Data = e.Message, e.Data
	}
	return body
}
