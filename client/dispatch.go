package client

import (
	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// task is an event for handlers, or a call that must run in order with events.
type task struct {
	event string
	args  packet.Args
	id    int64 // the acknowledgement that the server asked for, or packet.NoID
	size  int   // bytes
	conn  *engine.Conn
	do    func() // instead of an event
}

// tellLocked calls some of the registered functions, in order with events.
func (s *Socket) tellLocked(f func(*registry)) {
	if r := s.handlers.Load(); r != nil {
		s.putLocked(task{do: func() { f(r) }})
	}
}

// putLocked queues a task, and starts the goroutine that runs them if there is none.
func (s *Socket) putLocked(t task) {
	s.inbox = append(s.inbox, t)
	if !s.draining {
		s.draining = true
		s.client.wg.Go(s.drain)
	}
}

// drain runs tasks until there are none.
func (s *Socket) drain() {
	c := s.client
	var batch []task
	defer func() {
		if batch == nil {
			return
		}
		// A handler has ended its goroutine (runtime.Goexit, which tests do to fail): the rest is
		// for another one.
		c.mu.Lock()
		defer c.mu.Unlock()
		s.inbox = append(batch, s.inbox...)
		c.wg.Go(s.drain)
	}()
	var spare []task
	for {
		c.mu.Lock()
		batch, s.inbox = s.inbox, spare
		if len(batch) == 0 {
			batch, s.inbox, s.draining = nil, nil, false
			c.mu.Unlock()
			return
		}
		for _, t := range batch {
			s.inboxN -= t.size
		}
		c.mu.Unlock()
		spare = batch[:0]
		for len(batch) > 0 {
			t := batch[0]
			batch[0] = task{}
			batch = batch[1:]
			s.perform(t)
		}
	}
}

// perform runs one task: the functions for all events, then the handlers of this one.
func (s *Socket) perform(t task) {
	if t.do != nil {
		t.do()
		return
	}
	r := s.handlers.Load()
	if r == nil {
		return
	}
	for _, f := range r.any {
		f(t.event, t.args)
	}
	if handlers := r.events[t.event]; len(handlers) > 0 {
		s.handle(handlers, t)
	}
}
