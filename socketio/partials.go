package socketio

import (
	"container/list"
	"sync"
)

// partials knows the packets of all connections that wait for attachments, the oldest first. A
// compressed attachment of zeros takes a thousand times as much memory as the client has sent: with
// a limit for each connection alone, few connections could take all memory.
type partials struct {
	most int

	mu    sync.Mutex
	list  list.List // of *partial
	bytes int       // of all
}

// hold counts the bytes of p. Beyond the limit, the packets that have waited longest are given up.
func (w *partials) hold(p *partial) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bytes += p.size - p.held
	p.held = p.size
	if p.place == nil {
		p.place = w.list.PushBack(p)
	}
	for w.bytes > w.most && w.list.Len() > 0 {
		oldest := w.list.Front().Value.(*partial)
		w.removeLocked(oldest)
		oldest.crowded.Store(true)
		oldest.client.server.wheel.Schedule(&oldest.timer, 0)
	}
}

// drop ends the count of p.
func (w *partials) drop(p *partial) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeLocked(p)
}

func (w *partials) removeLocked(p *partial) {
	if p.place != nil {
		w.list.Remove(p.place)
		w.bytes -= p.held
		p.place, p.held = nil, 0
	}
}
