package streams

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// tooLarge reports broadcasts that the stream can't keep for clients that come back.
type tooLarge struct {
	count prometheus.Counter

	mu   sync.Mutex // guards the rest
	next time.Time  // of a log line
	n    int        // since the last one
}

// noteSize counts a broadcast that is too large, and logs the first in 10 s.
func (f *Form) noteSize(n *namespace, b *cluster.Broadcast, size int) {
	w := window{maxBytes: f.cfg.MaxBytes}
	if b.Flags.Volatile || !w.tooLarge(size) {
		return
	}
	t := &f.tooLarge
	t.count.Inc()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	now := time.Now()
	if now.Before(t.next) {
		return
	}
	event, _, _ := b.Data.Event() // its own, so it can be read
	f.Log.Warn("message too large for recovery: clients that are away now will start anew", "namespace", n.Name, "event", event,
		"size_bytes", size, "limit_bytes", w.kept(), "setting", "SIDEREAL_STREAM_MAX_BYTES", "messages", t.n)
	t.next, t.n = now.Add(link.ComplaintEvery), 0
}
