package socketio

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Args are the arguments of an event or an acknowledgement, undecoded. As a handler's parameter it takes all that the
// parameters before it left; as an argument of Emit it stands for all its values, sent on as they came.
type Args = packet.Args

// Value is one undecoded argument, or a part of one, binary parts included.
type Value = packet.Value

// Ack answers an event, once; a second call returns ErrAnswered. It may be kept and called later from any goroutine.
// As a handler's parameter it is nil when the client asked for no answer.
type Ack func(args ...any) error

// handler is a compiled handler.
type handler struct {
	// call decodes the arguments of a call, runs the function that the handler was made of, and answers with the results.
	// Its error is the function's own, or an *argsError.
	call func(c *call) error
	pace pace
}

// call is one event on its way through handlers, which must not keep it.
type call struct {
	socket *Socket         // nil for an event of another server
	life   context.Context // of that, or as Trace.Handle made it; nil: the socket's
	args   Args
	answer *answer // nil: nobody waits for one
}

// ctx is the context of the handler. That of a socket is made when it is first asked for.
func (c *call) ctx() context.Context {
	if c.life != nil {
		return c.life
	}
	return c.socket.Context()
}

func (c *call) reply(results ...any) error {
	if c.answer == nil {
		return nil
	}
	if err := c.answer.send(results...); !errors.Is(err, ErrAnswered) {
		return err
	}
	return nil
}

func (c *call) ack() Ack {
	if c.answer == nil {
		return nil
	}
	return c.answer.send
}

// argsError reports arguments that do not fit a handler.
type argsError struct{ err error }

func (e *argsError) Error() string { return e.err.Error() }
func (e *argsError) Unwrap() error { return e.err }

// newHandler makes a handler of fn, or panics with a message that names the call of On, the function's type and the rule
// it breaks.
func newHandler(caller, event string, fn any, socket bool) *handler {
	h := &handler{call: compile(caller, event, fn, socket)}
	h.pace.begin()
	return h
}

// compile is how a handler calls fn. Common types go without reflection.
func compile(caller, event string, fn any, socket bool) func(c *call) error {
	if socket {
		switch fn := fn.(type) {
		case func(*Socket):
			return func(c *call) error { fn(c.socket); return nil }
		case func(*Socket, Args):
			return func(c *call) error { fn(c.socket, c.args); return nil }
		case func(*Socket, Args, Ack):
			return func(c *call) error { fn(c.socket, c.args, c.ack()); return nil }
		case func(*Socket, Args, Ack) error:
			return func(c *call) error {
				if err := fn(c.socket, c.args, c.ack()); err != nil {
					return err
				}
				return c.reply()
			}
		case func(*Socket, Args) error:
			return func(c *call) error {
				if err := fn(c.socket, c.args); err != nil {
					return err
				}
				return c.reply()
			}
		case func(context.Context, *Socket, Args) (Args, error):
			return func(c *call) error {
				out, err := fn(c.ctx(), c.socket, c.args)
				if err != nil {
					return err
				}
				return c.reply(out)
			}
		case func(*Socket, string):
			return func(c *call) error {
				text, err := first[string](c)
				if err == nil {
					fn(c.socket, text)
				}
				return err
			}
		case func(*Socket, string) error:
			return func(c *call) error {
				text, err := first[string](c)
				if err != nil {
					return err
				}
				if err = fn(c.socket, text); err != nil {
					return err
				}
				return c.reply()
			}
		}
	}
	t := reflect.TypeOf(fn)
	p, rule := planFor(t, socket)
	if rule != "" {
		panic(fmt.Sprintf("socketio: %s(%q, %v): %s", caller, event, t, rule))
	}
	f := reflect.ValueOf(fn)
	if f.IsNil() {
		panic(fmt.Sprintf("socketio: %s(%q, %v): the handler is nil", caller, event, t))
	}
	return func(c *call) error { return p.call(f, c) }
}

// first decodes the first argument; the zero value if there is none.
func first[T any](c *call) (v T, err error) {
	if c.args.Len() > 0 {
		if err = c.args.Decode(0, &v); err != nil {
			err = &argsError{err}
		}
	}
	return v, err
}

// plan is how functions of one type are called.
type plan struct {
	params   []param
	variadic bool // the last parameter takes any number of arguments
	results  int  // that answer; an error may follow
	fails    bool // the last result is an error
	frames   sync.Pool
}

// frame holds the parameters of one call. The context has a place of its own type there: to convert it was 18 % of a
// call.
type frame struct {
	in  []reflect.Value
	ctx context.Context
}

type param struct {
	role role
	typ  reflect.Type // of a value; for a variadic parameter, of one
	arg  int          // the first argument it takes
}

type role byte

const (
	roleContext role = iota
	roleSocket
	roleValue
	roleRest
	roleAck
)

var (
	typeContext = reflect.TypeFor[context.Context]()
	typeSocket  = reflect.TypeFor[*Socket]()
	typeArgs    = reflect.TypeFor[Args]()
	typeAck     = reflect.TypeFor[Ack]()
	typeError   = reflect.TypeFor[error]()
)

type planKey struct {
	typ    reflect.Type
	socket bool
}

var plans sync.Map // planKey -> *plan

// planFor returns the plan for functions of type t, or the rule that t breaks.
func planFor(t reflect.Type, socket bool) (*plan, string) {
	key := planKey{t, socket}
	if p, ok := plans.Load(key); ok {
		return p.(*plan), ""
	}
	p, rule := newPlan(t, socket)
	if rule != "" {
		return nil, rule
	}
	kept, _ := plans.LoadOrStore(key, p)
	return kept.(*plan), ""
}

func newPlan(t reflect.Type, socket bool) (*plan, string) {
	shape := "func([context.Context,] [*socketio.Socket,] arguments... [, socketio.Ack]) ([answer..., ] [error])"
	if !socket {
		shape = "func([context.Context,] arguments... [, socketio.Ack]) ([answer..., ] [error])"
	}
	if t == nil || t.Kind() != reflect.Func {
		return nil, "the handler must be a function: " + shape
	}
	p := &plan{variadic: t.IsVariadic()}
	args := 0
	for i := range t.NumIn() {
		in := t.In(i)
		last := param{role: roleValue}
		if i > 0 {
			last = p.params[i-1]
		}
		q := param{typ: in, arg: args}
		switch {
		case in == typeContext:
			if q.role = roleContext; i != 0 {
				return nil, "the context.Context must be the first parameter: " + shape
			}
		case in == typeSocket && socket:
			if q.role = roleSocket; i != 0 && (i != 1 || last.role != roleContext) {
				return nil, "the *socketio.Socket must precede the arguments: " + shape
			}
		case i > 0 && last.role == roleAck:
			return nil, "nothing may follow the socketio.Ack: " + shape
		case in == typeAck:
			q.role = roleAck
		case i > 0 && last.role == roleRest:
			return nil, "socketio.Args takes all arguments that are left, so only a socketio.Ack may follow it: " + shape
		case in == typeArgs:
			q.role = roleRest
		default:
			if q.role = roleValue; p.variadic && i == t.NumIn()-1 {
				q.typ = in.Elem()
			}
			if why := undecodable(q.typ); why != "" {
				return nil, fmt.Sprintf("parameter %d: %s", i+1, why)
			}
			args++
		}
		p.params = append(p.params, q)
	}
	p.results = t.NumOut()
	if p.results > 0 && t.Out(p.results-1) == typeError {
		p.results--
		p.fails = true
	}
	for i := range p.results {
		if t.Out(i) == typeError {
			return nil, "an error must be the last result: " + shape
		}
		if why := undecodable(t.Out(i)); why != "" && t.Out(i) != typeArgs {
			return nil, fmt.Sprintf("result %d: %s", i+1, why)
		}
	}
	n := len(p.params)
	p.frames.New = func() any { return &frame{in: make([]reflect.Value, n)} }
	return p, ""
}

// undecodable is why values of type t cannot travel, if they cannot.
func undecodable(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Sprintf("%v has no form in JSON", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("%v cannot be decoded into: use a concrete type, or any", t)
		}
	}
	if t == typeSocket || t == typeArgs {
		return fmt.Sprintf("%v cannot stand there", t)
	}
	return ""
}

func (p *plan) call(fn reflect.Value, c *call) error {
	f := p.frames.Get().(*frame)
	in := f.in
	defer func() {
		f.ctx = nil
		clear(in)
		p.frames.Put(f)
	}()
	for i := range p.params {
		q := &p.params[i]
		switch q.role {
		case roleContext:
			f.ctx = c.ctx()
			in[i] = reflect.ValueOf(&f.ctx).Elem()
		case roleSocket:
			in[i] = reflect.ValueOf(c.socket)
		case roleAck:
			in[i] = reflect.ValueOf(c.ack())
		case roleRest:
			in[i] = reflect.ValueOf(c.args.Slice(min(q.arg, c.args.Len()), c.args.Len()))
		case roleValue:
			v, err := p.decode(q, c.args, p.variadic && i == len(p.params)-1)
			if err != nil {
				return &argsError{err}
			}
			in[i] = v
		}
	}
	var out []reflect.Value
	if p.variadic {
		out = fn.CallSlice(in)
	} else {
		out = fn.Call(in)
	}
	if p.fails {
		if err, _ := out[p.results].Interface().(error); err != nil {
			return err
		}
	}
	if c.answer == nil || p.results == 0 && !p.fails {
		return nil
	}
	results := make([]any, p.results)
	for i := range results {
		results[i] = out[i].Interface()
	}
	return c.reply(results...)
}

func (p *plan) decode(q *param, args Args, variadic bool) (reflect.Value, error) {
	if !variadic {
		v := reflect.New(q.typ)
		if q.arg >= args.Len() {
			return v.Elem(), nil
		}
		return v.Elem(), args.Decode(q.arg, v.Interface())
	}
	n := max(args.Len()-q.arg, 0)
	list := reflect.MakeSlice(reflect.SliceOf(q.typ), n, n)
	for i := range n {
		if err := args.Decode(q.arg+i, list.Index(i).Addr().Interface()); err != nil {
			return list, err
		}
	}
	return list, nil
}
