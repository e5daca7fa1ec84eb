package socketio

import (
	"context"
	"sync"
)

// work counts the goroutines that run the app's functions, so that Run can wait for them.
type work struct {
	running sync.WaitGroup
	gate    sync.RWMutex // held for reading while one begins
	over    bool
}

// begin counts a goroutine that is about to start. It returns false once Run waits for the last:
// then no goroutine may start.
func (w *work) begin() bool {
	w.gate.RLock()
	defer w.gate.RUnlock()
	if w.over {
		return false
	}
	w.running.Add(1)
	return true
}

func (w *work) done() { w.running.Done() }

// end refuses new goroutines and waits for the others.
func (w *work) end() {
	w.gate.Lock()
	w.over = true
	w.gate.Unlock()
	w.running.Wait()
}

// Go calls f on a goroutine of its own, so that the socket's next events don't wait for it. The
// context ends when the socket disconnects. Server.Run waits for f. A panic is contained, logged
// and counted like one of a handler. Go does nothing once Run has ended.
func (s *Socket) Go(f func(ctx context.Context)) {
	work := &s.client.server.work
	if !work.begin() {
		return
	}
	go func() {
		defer work.done()
		s.contain("Go", func() error { f(s.Context()); return nil })
	}()
}
