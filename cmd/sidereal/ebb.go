package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// ebbEvery is how often a process is looked at: for so long it must have been quiet, too.
	ebbEvery = time.Second
	// ebbQuiet is what a process allocates in that time at most, to be called quiet.
	ebbQuiet = 128 << 10
	// ebbWorth is how much must have been allocated since the last collection for another one to be worth its time.
	ebbWorth = 1 << 20
)

// ebb collects garbage and gives memory back to the system once a wave of connections is over, until ctx ends. A router that
// has passed or parked them holds nothing of theirs; without this, what opening them took would stay until the next
// collection, which in a process that then does nothing comes after two minutes.
func ebb(ctx context.Context) error {
	tick := time.NewTicker(ebbEvery)
	defer tick.Stop()
	found := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/live:bytes"}}
	var t tide
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		metrics.Read(found)
		if t.turned(found[0].Value.Uint64(), found[1].Value.Uint64(), found[2].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// tide is what a process had allocated at the last look.
type tide struct{ allocated uint64 }

// turned takes what the process has allocated since its start, what of it has not been collected, and what of it was in use
// at the last collection. It reports whether the process is quiet now, with much to collect.
func (t *tide) turned(allocated, there, live uint64) bool {
	quiet := allocated-t.allocated <= ebbQuiet
	t.allocated = allocated
	return quiet && there >= live+ebbWorth
}
