package service

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// quietTime is how long a process must have been quiet before it gives memory back.
	quietTime = time.Second
	// quietBytes is how much a quiet process allocates in that time at most.
	quietBytes = 128 << 10
	// worthBytes is how much must have been allocated since the last collection to make another one
	// worth its time.
	worthBytes = 1 << 20
)

// releaseMemory collects garbage and gives memory back to the system when a wave of connections is
// over, until ctx ends. A router that has passed or parked the connections holds nothing for them.
// Without releaseMemory, the memory that opening them took would stay until the next collection. In
// an idle process that takes two minutes.
func releaseMemory(ctx context.Context) error {
	tick := time.NewTicker(quietTime)
	defer tick.Stop()
	found := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	var a activity
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		metrics.Read(found)
		if a.over(found[0].Value.Uint64(), found[1].Value.Uint64(), found[2].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// activity remembers how much a process had allocated at the last look.
type activity struct{ allocated uint64 }

// over reports whether the process is quiet and has much to collect. It takes the bytes that the
// process has allocated since its start, those of them that are not collected, and those that were
// in use at the last collection.
func (a *activity) over(allocated, uncollected, live uint64) bool {
	quiet := allocated-a.allocated <= quietBytes
	a.allocated = allocated
	return quiet && uncollected >= live+worthBytes
}
