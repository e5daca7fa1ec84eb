// Package handler compiles the functions that apps register for events. Server and client share it,
// so that the same function means the same on both sides:
//
//	func([context.Context,] [*Socket,] arguments... [, Ack]) ([answer...,] [error])
//
// An argument that wasn't sent is the zero value of its parameter. Further arguments are ignored
// unless the last parameter is variadic or a packet.Args. The results answer the event. A function
// without results doesn't; one with an Ack answers by that, and its nil error answers nothing.
package handler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Call is one event on its way to handlers. S is the package's *Socket, and A its Ack.
type Call[S any, A ~func(...any) error] struct {
	Socket S // that received the event
	Args   packet.Args
	Sender Sender[A]

	room [4]any // for results, so that few of them need no allocation
}

// results returns room for n results of the handler.
func (c *Call[S, A]) results(n int) []any {
	if n <= len(c.room) {
		return c.room[:n]
	}
	return make([]any, n)
}

// reply answers with the results.
func (c *Call[S, A]) reply(results []any) error {
	err := c.Sender.Reply(results...)
	clear(results)
	return err
}

// Sender is the side that an event came from.
type Sender[A ~func(...any) error] interface {
	// Context returns the context for the handler.
	Context() context.Context
	// Wanted reports whether the sender waits for an answer.
	Wanted() bool
	// Ack returns the function that answers, or nil if the sender doesn't wait.
	Ack() A
	// Reply answers with results, if the sender waits and wasn't answered yet.
	Reply(results ...any) error
}

// Func calls a handler for an event and answers with its results. It returns an *ArgsError or the
// error of the handler.
type Func[S any, A ~func(...any) error] func(c *Call[S, A]) error

// Rules distinguish the functions that Compile accepts.
type Rules struct {
	// Package is the name of the caller's package, for messages.
	Package string
	// NoSocket refuses functions with a socket among the parameters.
	NoSocket bool
}

// ArgsError reports that the arguments of an event don't fit the parameters of a handler.
type ArgsError struct{ Err error }

func (e *ArgsError) Error() string { return e.Err.Error() }
func (e *ArgsError) Unwrap() error { return e.Err }

// Compile returns how fn is called. It panics if fn breaks a rule, with a message that names the
// registering function (caller), the event, the type of fn and the rule.
func Compile[S any, A ~func(...any) error](r Rules, caller, event string, fn any) Func[S, A] {
	t := reflect.TypeOf(fn)
	p, rule := planFor(planKey{t, reflect.TypeFor[S](), reflect.TypeFor[A](), r.NoSocket}, r)
	f := reflect.ValueOf(fn)
	if rule == "" && f.IsNil() {
		rule = "the handler is nil"
	}
	if rule != "" {
		panic(fmt.Sprintf("%s: %s(%q, %v): %s", r.Package, caller, event, t, rule))
	}
	if call := direct[S, A](fn); call != nil {
		return call
	}
	return func(c *Call[S, A]) error { return call(p, f, c) }
}

// direct returns how a function of a common type is called without reflection, or nil.
func direct[S any, A ~func(...any) error](fn any) Func[S, A] {
	switch fn := fn.(type) {
	case func():
		return func(*Call[S, A]) error { fn(); return nil }
	case func(S):
		return func(c *Call[S, A]) error { fn(c.Socket); return nil }
	case func(packet.Args):
		return func(c *Call[S, A]) error { fn(c.Args); return nil }
	case func(packet.Args, A):
		return func(c *Call[S, A]) error { fn(c.Args, c.Sender.Ack()); return nil }
	case func(S, packet.Args):
		return func(c *Call[S, A]) error { fn(c.Socket, c.Args); return nil }
	case func(S, packet.Args, A):
		return func(c *Call[S, A]) error { fn(c.Socket, c.Args, c.Sender.Ack()); return nil }
	case func(S, packet.Args, A) error:
		return func(c *Call[S, A]) error { return fn(c.Socket, c.Args, c.Sender.Ack()) }
	case func(S, packet.Args) error:
		return func(c *Call[S, A]) error {
			if err := fn(c.Socket, c.Args); err != nil {
				return err
			}
			return c.Sender.Reply()
		}
	case func(context.Context, S, packet.Args) (packet.Args, error):
		return func(c *Call[S, A]) error {
			out, err := fn(c.Sender.Context(), c.Socket, c.Args)
			if err != nil {
				return err
			}
			results := c.results(1)
			results[0] = out
			return c.reply(results)
		}
	case func(S, string):
		return func(c *Call[S, A]) error {
			text, err := first[string](c.Args)
			if err == nil {
				fn(c.Socket, text)
			}
			return err
		}
	case func(S, string) error:
		return func(c *Call[S, A]) error {
			text, err := first[string](c.Args)
			if err != nil {
				return err
			}
			if err = fn(c.Socket, text); err != nil {
				return err
			}
			return c.Sender.Reply()
		}
	}
	return nil
}

// first decodes the first argument. Without one it returns the zero value.
func first[T any](args packet.Args) (v T, err error) {
	if args.Len() > 0 {
		if err = args.Decode(0, &v); err != nil {
			err = &ArgsError{err}
		}
	}
	return v, err
}

// plan is how functions of one type are called. Each type is looked at once.
type plan struct {
	params   []param
	variadic bool // the last parameter takes any number of arguments
	acks     bool // the last parameter is an Ack
	results  int  // that answer; an error may follow
	fails    bool // the last result is an error
	frames   sync.Pool
}

// frame holds the parameters of one call. The context has a place of its own type there: converting
// it took 18 % of a call.
type frame struct {
	in  []reflect.Value
	ctx context.Context
}

type param struct {
	role role
	typ  reflect.Type // of a value; of the elements of a variadic parameter
	arg  int          // the first argument that it takes
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
	typeArgs    = reflect.TypeFor[packet.Args]()
	typeError   = reflect.TypeFor[error]()
)

type planKey struct {
	fn, socket, ack reflect.Type
	noSocket        bool
}

var plans sync.Map // planKey -> *plan

// planFor returns the plan for functions of a type, or the rule that the type breaks.
func planFor(key planKey, r Rules) (*plan, string) {
	if p, ok := plans.Load(key); ok {
		return p.(*plan), ""
	}
	p, rule := newPlan(key, r)
	if rule != "" {
		return nil, rule
	}
	kept, _ := plans.LoadOrStore(key, p)
	return kept.(*plan), ""
}

func newPlan(key planKey, r Rules) (*plan, string) {
	socket := " [*" + r.Package + ".Socket,]"
	if r.NoSocket {
		socket = ""
	}
	ack := r.Package + ".Ack"
	shape := "func([context.Context,]" + socket + " arguments... [, " + ack + "]) ([answer..., ] [error])"
	t := key.fn
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
		case in == key.socket && !r.NoSocket:
			if q.role = roleSocket; i != 0 && (i != 1 || last.role != roleContext) {
				return nil, "the *" + r.Package + ".Socket must precede the arguments: " + shape
			}
		case i > 0 && last.role == roleAck:
			return nil, "nothing may follow the " + ack + ": " + shape
		case in == key.ack:
			q.role = roleAck
			p.acks = true
		case i > 0 && last.role == roleRest:
			return nil, r.Package + ".Args takes all arguments that are left, so only a " + ack + " may follow it: " + shape
		case in == typeArgs:
			q.role = roleRest
		default:
			if q.role = roleValue; p.variadic && i == t.NumIn()-1 {
				q.typ = in.Elem()
			}
			if why := key.undecodable(q.typ); why != "" {
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
		if why := key.undecodable(t.Out(i)); why != "" && t.Out(i) != typeArgs {
			return nil, fmt.Sprintf("result %d: %s", i+1, why)
		}
	}
	n := len(p.params)
	p.frames.New = func() any { return &frame{in: make([]reflect.Value, n)} }
	return p, ""
}

// undecodable returns why values of type t can't travel, or "".
func (k *planKey) undecodable(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Sprintf("%v has no form in JSON", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Sprintf("%v cannot be decoded into: use a concrete type, or any", t)
		}
	}
	if t == k.socket || t == typeArgs {
		return fmt.Sprintf("%v cannot stand there", t)
	}
	return ""
}

func call[S any, A ~func(...any) error](p *plan, fn reflect.Value, c *Call[S, A]) error {
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
			f.ctx = c.Sender.Context()
			in[i] = reflect.ValueOf(&f.ctx).Elem()
		case roleSocket:
			in[i] = reflect.ValueOf(c.Socket)
		case roleAck:
			in[i] = reflect.ValueOf(c.Sender.Ack())
		case roleRest:
			in[i] = reflect.ValueOf(c.Args.Slice(min(q.arg, c.Args.Len()), c.Args.Len()))
		case roleValue:
			v, err := decode(q, c.Args, p.variadic && i == len(p.params)-1)
			if err != nil {
				return &ArgsError{err}
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
	if !c.Sender.Wanted() || p.results == 0 && (!p.fails || p.acks) {
		return nil
	}
	results := c.results(p.results)
	for i := range results {
		results[i] = out[i].Interface()
	}
	return c.reply(results)
}

func decode(q *param, args packet.Args, variadic bool) (reflect.Value, error) {
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

// Failure is the answer to an event whose handler failed.
type Failure struct {
	Message string `json:"error"`
	Data    any    `json:"data,omitzero"`
}

// FailureOf returns what the other side is told of err: the words of an E, which is the package's
// Error, that arguments don't fit, or only that something went wrong.
func FailureOf[E error](err error, words func(E) Failure) Failure {
	if e, ok := errors.AsType[E](err); ok {
		return words(e)
	}
	if _, ok := errors.AsType[*ArgsError](err); ok {
		return Failure{Message: "invalid arguments"}
	}
	return Failure{Message: "internal error"}
}
