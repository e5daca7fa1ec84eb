package socketio

import (
	"container/list"
	"sync"
)

// waits knows the packets of all connections that wait for attachments, the oldest first. An
// attachment of zeros that came compressed takes a thousand times as much here as the client has
// sent: a limit for each connection alone would let few connections take all memory.
type waits struct {
	most int

	mu    sync.Mutex
	list  list.List // of *partial
	bytes int       // of all
}

// hold counts what p has got so far. Beyond the limit the packets that have waited longest wait no
// longer.
func (w *waits) hold(p *partial) {
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
		oldest.client.server.wheel.Schedule(&oldest.timer, 0)
	}
}

// drop ends the count of p.
func (w *waits) drop(p *partial) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeLocked(p)
}

func (w *waits) removeLocked(p *partial) {
	if p.place != nil {
		w.list.Remove(p.place)
		w.bytes -= p.held
		p.place, p.held = nil, 0
	}
}
