package bench

import (
	"maps"
	"sync"
	"sync/atomic"
)

// maxKinds bounds the number of kinds of errors.
const maxKinds = 20

// tally holds the counters of a run.
type tally struct {
	connected, upgraded      atomic.Int64 // clients
	refused, lost, failed    counts       // clients by why they have not connected, or are not any more; events
	sent, acknowledged       atomic.Int64 // events
	bytesSent, bytesReceived atomic.Int64 // of their values
	connecting, latency      histogram
}

// counts counts by kind. Its zero value is ready to use. It may be used concurrently.
type counts struct {
	mu sync.Mutex
	by map[string]int64
}

func (c *counts) add(kind string) { c.addMany(kind, 1) }

func (c *counts) addMany(kind string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]int64{}
	}
	if _, known := c.by[kind]; !known && len(c.by) >= maxKinds {
		kind = "other reasons"
	}
	c.by[kind] += int64(n)
}

func (c *counts) total() (n int64) {
	for _, k := range c.kinds() {
		n += k
	}
	return n
}

func (c *counts) kinds() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}
