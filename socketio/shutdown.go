package socketio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/flight"
)

// root is the context of functions that no client waits for. It ends when the sessions have ended,
// and has the values of Run's context.
type root struct {
	context.Context
	values atomic.Pointer[context.Context]
}

func (r *root) Value(key any) any {
	if v := r.Context.Value(key); v != nil {
		return v
	}
	if values := r.values.Load(); values != nil {
		return (*values).Value(key)
	}
	return nil
}

// under returns ctx with the values of Run's context below its own.
func (r *root) under(ctx context.Context) context.Context { return valued{ctx, r} }

// valued is a context that looks for values in its server's, too.
type valued struct {
	context.Context
	server *root
}

func (v valued) Value(key any) any {
	if found := v.Context.Value(key); found != nil {
		return found
	}
	if values := v.server.values.Load(); values != nil {
		return (*values).Value(key)
	}
	return nil
}

// shutdown is how a server ends.
type shutdown struct {
	expired chan struct{} // closed when a Shutdown's context ends: nobody is waited for any more
	expire  func()
	ended   chan struct{} // closed when Run has returned

	// guarded by Server.mu
	running bool
	halt    context.CancelFunc            // ends the sessions of Run; nil before Run
	waiting []func(context.Context)       // what Go was given before Run
	hooks   []func(context.Context) error // of OnShutdown
	limit   context.Context               // of the first Shutdown; nil: there was none
}

func newShutdown() shutdown {
	expired := make(chan struct{})
	return shutdown{expired: expired, expire: sync.OnceFunc(func() { close(expired) }), ended: make(chan struct{})}
}

var (
	errHandlersRun = errors.New("socketio: shutdown: handlers or functions of Go still run")
	errHookRuns    = errors.New("socketio: shutdown: a function of OnShutdown still runs, and those after it weren't called")
)

// OnShutdown registers f to be called when the server ends: after the last session, when all
// handlers and the functions of Go have returned, and before the server leaves the cluster, so that
// f may still emit to other servers. Functions are called one after another, the last registered
// first, as deferred calls are. The context is that of Shutdown. An error or a panic is logged and
// becomes part of Run's error; the functions after it are called all the same. A function that
// doesn't return before its context ends is left behind, and no further ones are called.
func (s *Server) OnShutdown(f func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown.hooks = append(s.shutdown.hooks, f)
}

// Go calls f on a goroutine of its own while the server runs: at once, or when Run begins. The
// context ends when the last session has ended, and has the values of Run's context. The server
// waits for f before it calls the functions of OnShutdown. A panic is contained, logged and counted
// like one of a handler. Go does nothing once the server waits for the last functions.
func (s *Server) Go(f func(ctx context.Context)) {
	s.mu.Lock()
	if !s.shutdown.running {
		s.shutdown.waiting = append(s.shutdown.waiting, f)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.spawn(f)
}

func (s *Server) spawn(f func(ctx context.Context)) {
	if !s.work.begin() {
		return
	}
	go func() {
		defer s.work.done()
		_ = s.contain("Go", func() error { f(s.life); return nil })
	}()
}

// contain calls f and turns a panic into an error.
func (s *Server) contain(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked(v, "event", what)
		}
	}()
	return f()
}

// Shutdown ends Run and waits for it: the server closes the sessions that are left, which ends the
// contexts of handlers, waits for the handlers and the functions of Go, calls the functions of
// OnShutdown, and leaves the cluster. When ctx ends, Run and Shutdown wait for the app's functions
// no longer, and return an error. Drain moves the sessions away before, at a rate. The end of Run's
// own context does the same without a limit.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.shutdown.limit == nil {
		s.shutdown.limit = ctx
	}
	running, halt := s.shutdown.running, s.shutdown.halt
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.shutdown.expire)
	if !running {
		return nil // Run will end at once
	}
	halt()
	select {
	case <-s.shutdown.ended:
		stop()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start begins Run, whose sessions halt ends: it runs what Go was given so far.
func (s *Server) start(ctx context.Context, halt context.CancelFunc) {
	s.life.values.Store(&ctx)
	s.recorder.Store(flight.From(ctx))
	s.mu.Lock()
	waiting := s.shutdown.waiting
	s.shutdown.running, s.shutdown.halt, s.shutdown.waiting = true, halt, nil
	if s.shutdown.limit != nil { // Shutdown was called before Run
		halt()
	}
	s.mu.Unlock()
	for _, f := range waiting {
		s.spawn(f)
	}
}

// await waits for f, which nobody waits for any more once a Shutdown's context has ended.
func (s *Server) await(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-s.shutdown.expired:
	}
	select {
	case <-done: // it came to its end at the same time
		return true
	default:
		return false
	}
}

// end waits for the sessions, whose handlers may run on the goroutines that read, and then for the
// other functions of the app.
func (s *Server) end(soft context.Context) error {
	ended := make(chan error, 1)
	if !s.await(func() { ended <- s.engine.Run(soft) }) {
		s.endLife()
		return errHandlersRun
	}
	s.endLife()
	err := <-ended
	if !s.await(s.work.end) {
		err = errors.Join(err, errHandlersRun)
	}
	return err
}

// callHooks calls the functions of OnShutdown. ctx is Run's.
func (s *Server) callHooks(ctx context.Context) error {
	var errs []error
	for {
		s.mu.Lock()
		last := len(s.shutdown.hooks) - 1
		if last < 0 {
			s.mu.Unlock()
			return errors.Join(errs...)
		}
		f := s.shutdown.hooks[last]
		s.shutdown.hooks = s.shutdown.hooks[:last]
		limit := s.shutdown.limit
		s.mu.Unlock()
		if limit == nil {
			limit = context.WithoutCancel(ctx)
		}
		result := make(chan error, 1)
		if !s.await(func() { result <- s.contain("OnShutdown", func() error { return f(limit) }) }) {
			return errors.Join(append(errs, errHookRuns)...)
		}
		if err := <-result; err != nil {
			if !errors.As(err, new(*panicError)) { // which is logged
				s.cfg.Log.Error("shutdown function failed", "error", err)
			}
			errs = append(errs, fmt.Errorf("socketio: shutdown: %w", err))
		}
	}
}
