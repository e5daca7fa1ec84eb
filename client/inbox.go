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

// inbox has a socket's tasks, in order. A goroutine performs them; it exists while there are some.
// The methods are called under client.mu.
type inbox struct {
	client  *Client
	perform func(task) // called without client.mu

	tasks   []task
	early   []task // received before the answer to CONNECT, on recovery
	bytes   int    // in both
	running bool   // the goroutine
}

// full reports whether a task of size bytes would exceed limit. A single task may.
func (in *inbox) full(size, limit int) bool { return in.bytes > 0 && in.bytes+size > limit }

// put adds a task.
func (in *inbox) put(t task) {
	in.bytes += t.size
	in.tasks = append(in.tasks, t)
	if !in.running {
		in.running = true
		in.client.wg.Go(in.drain)
	}
}

// hold keeps a task until takeEarly is called.
func (in *inbox) hold(t task) {
	in.bytes += t.size
	in.early = append(in.early, t)
}

// takeEarly removes the tasks that are held, and returns them.
func (in *inbox) takeEarly() []task {
	early := in.early
	in.early = nil
	in.left(early)
	return early
}

// left counts tasks that have left the inbox.
func (in *inbox) left(tasks []task) {
	for _, t := range tasks {
		in.bytes -= t.size
	}
}

// drain is the goroutine: it performs tasks until there are none.
func (in *inbox) drain() {
	mu := &in.client.mu
	var batch []task
	defer func() {
		if batch == nil {
			return
		}
		// A handler has ended its goroutine (runtime.Goexit, which tests do to fail): the rest is
		// for another one.
		mu.Lock()
		defer mu.Unlock()
		in.tasks = append(batch, in.tasks...)
		in.client.wg.Go(in.drain)
	}()
	var spare []task
	for {
		mu.Lock()
		batch, in.tasks = in.tasks, spare
		if len(batch) == 0 {
			batch, in.tasks, in.running = nil, nil, false
			mu.Unlock()
			return
		}
		in.left(batch)
		mu.Unlock()
		spare = batch[:0]
		for len(batch) > 0 {
			t := batch[0]
			batch[0] = task{}
			batch = batch[1:]
			in.perform(t)
		}
	}
}
