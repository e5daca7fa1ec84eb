package socketio

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/eventloop"
	compiler "github.com/sidereal-io/sidereal/internal/handler"
	"github.com/sidereal-io/sidereal/internal/notice"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// event is one received event that waits for its handlers.
type event struct {
	next   *event
	socket *Socket
	id     int64
	name   []byte
	args   Args
	size   int
	call   call // for the handlers

	handlers []*handler // as they were when the event was taken
	began    time.Time  // when it was taken

	malformed *malformed // not nil: not an event, but a malformed packet
}

var events = sync.Pool{New: func() any { return new(event) }}

// The bytes that a waiting event, and each of its attachments, count beyond their own.
const (
	eventOverhead      = 256
	attachmentOverhead = 64
)

func newEvent(s *Socket, id int64, name []byte, args Args, size int) *event {
	e := events.Get().(*event)
	*e = event{socket: s, id: id, name: name, args: args, size: size + eventOverhead}
	return e
}

func (e *event) free() {
	*e = event{}
	events.Put(e)
}

// enqueue queues an event, unless the socket has ended. It returns true if the socket was idle: the
// caller then has the event dispatched, by start or soon.
func (s *Socket) enqueue(e *event) (idle bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateEnded {
		s.client.settle(e.size)
		e.free()
		return false
	}
	if e.next = e; s.waiting != nil {
		e.next, s.waiting.next = s.waiting.next, e
	}
	s.waiting = e
	idle = !s.running
	s.running = true
	return idle
}

// isBusy reports whether events are being handled, or are about to be.
func (s *Socket) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// finish tells the app of the end after the waiting events.
func (s *Socket) finish(end *ending) {
	s.mu.Lock()
	s.extraLocked().ending = end
	idle := !s.running
	s.running = true
	s.mu.Unlock()
	if idle {
		s.start(nil)
	}
}

// start starts the socket's goroutine, which calls first, if it isn't nil, and dispatches until
// nothing waits.
func (s *Socket) start(first func()) {
	if !s.client.server.work.begin() {
		return
	}
	go func() {
		defer s.client.server.work.done()
		var k *cork
		if first != nil {
			k = s.client.hold(false)
			first()
		}
		s.run(k, eventloop.Unlimited)
	}()
}

// soon has the waiting events dispatched on the goroutine that reads, as far as they are brief.
func (s *Socket) soon(loop eventloop.Loop) {
	if s.client.server.work.begin() {
		loop.Later((*turn)(s))
	}
}

// turn is a Socket as the eventloop.Work of its events.
type turn Socket

// Do dispatches the waiting events, as far as they are within the limit.
func (t *turn) Do(limit eventloop.Limit) (done bool) {
	s := (*Socket)(t)
	done = true
	defer func() {
		if done { // also if a handler has ended the goroutine
			s.client.server.work.done()
		}
	}()
	done = s.run(nil, limit)
	return done
}

// Overdue sends what the handler has emitted so far: it takes longer than expected.
func (t *turn) Overdue() { t.client.flush() }

// maxBrief is how many events of one socket count as brief together.
const maxBrief = 64

// run dispatches until nothing waits and returns true. It stops, and returns false, before an event
// that probably exceeds the limit. The caller holds k.
func (s *Socket) run(k *cork, limit eventloop.Limit) (done bool) {
	var last *event
	for n := 0; ; n++ {
		if n == maxBrief && limit != eventloop.Unlimited {
			s.rest()
			if last != nil {
				last.free()
			}
			k.release()
			return false
		}
		e, end, left := s.take(limit)
		if last != nil {
			last.free() // nobody finds it at the socket any more
			last = nil
		}
		if limit == eventloop.Short {
			limit = eventloop.Brief // after the first one, others may wait
		}
		if e == nil && end == nil {
			k.release()
			return !left
		}
		if !k.holds() {
			k = s.client.hold(limit != eventloop.Unlimited)
		}
		if e != nil {
			s.dispatch(e)
			last = e
		} else {
			s.ended(end)
		}
	}
}

// take returns the next event, or the end, that is to be dispatched. If it returns neither, the
// socket is idle, or something is left that probably exceeds the limit.
func (s *Socket) take(limit eventloop.Limit) (e *event, end *ending, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled = nil
	if s.waiting != nil {
		e = s.waiting.next
		e.handlers = s.handlersLocked(e)
		if limit != eventloop.Unlimited && (len(e.handlers) == 0 || !e.handlers[0].pace.within(limit)) {
			return nil, nil, true
		}
		s.takeLocked()
		s.client.settle(e.size)
		e.began = time.Now()
		s.handled = e
		return e, nil, false
	}
	if x := s.extra; x != nil && x.ending != nil {
		if limit != eventloop.Unlimited {
			return nil, nil, true
		}
		return nil, x.ending, false
	}
	s.running = false
	return nil, nil, false
}

// takeLocked takes the first event that waits.
func (s *Socket) takeLocked() *event {
	e := s.waiting.next
	if s.waiting.next = e.next; e == s.waiting {
		s.waiting = nil
	}
	e.next = nil
	return e
}

// rest forgets the event that was handled last.
func (s *Socket) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled = nil
}

// handlersLocked returns the handlers of an event, the namespace's before the socket's own.
func (s *Socket) handlersLocked(e *event) []*handler {
	if e.malformed != nil {
		return nil
	}
	handlers := s.nsp.registry.Load().events[string(e.name)]
	if s.extra != nil {
		if own := s.extra.events[string(e.name)]; own != nil {
			handlers = slices.Concat(handlers, own)
		}
	}
	return handlers
}

// dispatch runs an event through OnAny, the middlewares and the handlers. The pace of the first
// handler counts for all.
func (s *Socket) dispatch(e *event) {
	r := s.nsp.registry.Load()
	if e.malformed != nil {
		s.tellError(r, "", e.malformed.err)
		e.malformed.reported()
		return
	}
	ctx, done := s.client.server.cfg.Trace.handle(s, e.name, e.args)
	err := s.call(ctx, r, e)
	if done != nil {
		s.contain("Trace", func() error { done(err); return nil })
	}
	if len(e.handlers) > 0 {
		took := time.Since(e.began)
		e.handlers[0].pace.took(took)
		s.timed(ctx, took)
	}
}

// timed counts the time that an event took. Ctx is that of Trace.Handle, or nil.
func (s *Socket) timed(ctx context.Context, took time.Duration) {
	srv := s.client.server
	if t := srv.cfg.Trace; ctx == nil || t.Exemplar == nil {
		srv.metrics.handling.Observe(took.Seconds())
		return
	}
	s.contain("Trace", func() error { // also of labels that can't be
		srv.metrics.handling.(prometheus.ExemplarObserver).ObserveWithExemplar(took.Seconds(), srv.cfg.Trace.Exemplar(ctx))
		return nil
	})
}

// call runs an event with ctx, or with the socket's context if that is nil, and returns the first
// error.
func (s *Socket) call(ctx context.Context, r *registry, e *event) (first error) {
	c := &e.call
	c.begin(s, ctx, e.args)
	if e.id != packet.NoID && (len(e.handlers) > 0 || len(r.useEvent) > 0) {
		c.answer = &answer{client: s.client, nsp: s.nsp, id: e.id}
	}
	if len(r.any) > 0 || len(r.useEvent) > 0 {
		name := string(e.name)
		for _, l := range r.any {
			s.contain(name, func() error { l.call(s, name, e.args); return nil })
		}
		for _, f := range r.useEvent {
			if err := s.contain(name, func() error { return f(c.Context(), s, name, e.args) }); err != nil {
				s.failed(r, c, name, err)
				return err
			}
		}
	}
	for _, h := range e.handlers {
		if err := s.handle(h, c, e); err != nil {
			s.failed(r, c, string(e.name), err)
			if first == nil {
				first = err
			}
		}
	}
	return first
}

// handle calls one handler and turns a panic into an error.
func (s *Socket) handle(h *handler, c *call, e *event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked(string(e.name), v)
		}
	}()
	return h.call(&c.Call)
}

// contain calls f and turns a panic into an error.
func (s *Socket) contain(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked(what, v)
		}
	}()
	return f()
}

// panicError is a contained panic, which has been logged.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func (s *Socket) panicked(what string, v any) error {
	return s.client.server.panicked(v, "namespace", s.namespace, "socket", s.id, "event", what)
}

// panicked logs and counts a panic that was recovered. Nobody else logs the error that it returns.
func (s *Server) panicked(v any, fields ...any) error {
	s.metrics.panics.Inc()
	s.notices.panics.Error(s.cfg.Log, "handler panicked", append(fields, "panic", notice.Cut(fmt.Sprint(v)), "stack", notice.Cut(string(debug.Stack())))...)
	return &panicError{v}
}

// unlogged returns err unless it is a panic, which has been logged.
func unlogged(err error) error {
	if _, ok := errors.AsType[*panicError](err); ok {
		return nil
	}
	return err
}

// failed answers an event whose handler or middleware failed, and logs errors that the client doesn't see.
func (s *Socket) failed(r *registry, c *call, name string, err error) {
	server := s.client.server
	var public *Error
	var unfit *compiler.ArgsError
	var panicked *panicError
	switch {
	case errors.As(err, &public):
	case errors.As(err, &unfit):
		server.metrics.undecoded.Inc()
		server.cfg.Log.Debug("arguments don't fit the handler", "namespace", s.namespace, "socket", s.id, "event", name, "error", err)
	case errors.As(err, &panicked): // it is logged
	case s.leaves() && (errors.Is(err, context.Canceled) || errors.Is(err, ErrDisconnected)): // the client has left meanwhile
	default:
		server.metrics.failures.Inc()
		server.notices.failures.Warn(server.cfg.Log, "handler failed", "namespace", s.namespace, "socket", s.id, "event", name, "error", err)
	}
	c.Reply(failure(err))
	s.tellError(r, name, err)
}

// leaves reports whether the client has left, or is about to.
func (s *Socket) leaves() bool { return !s.Connected() || s.client.isDoomed() }

func (s *Socket) tellError(r *registry, event string, err error) {
	for _, f := range r.errors {
		s.contain("error", func() error { f(s, event, err); return nil })
	}
}

// ended tells the app that the socket has ended. Nothing follows.
func (s *Socket) ended(end *ending) {
	r := s.nsp.registry.Load()
	for _, f := range r.disconnecting {
		s.contain("disconnecting", func() error { f(s, end.reason); return nil })
	}
	s.mu.Lock()
	rooms := end.rooms
	end.rooms = nil
	s.mu.Unlock()
	for _, f := range r.disconnect {
		s.contain("disconnect", func() error { f(s, end.reason); return nil })
	}
	if !end.back && len(r.gone) > 0 {
		s.nsp.tellGone(r.gone, cluster.Snapshot{ID: s.id, Rooms: rooms, Data: s.data().payload()})
	}
	s.nsp.release()
	s.mu.Lock()
	s.extra.ending = nil
	s.mu.Unlock()
	s.client.socketDone(s)
}
