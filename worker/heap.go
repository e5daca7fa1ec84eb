package worker

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is what the heap of a worker process may grow to before its garbage is collected. From a live heap of half of
// that on, Go's own rule holds: collect when it has doubled. Go alone begins at 4 MB, and a worker with few sessions and
// much to do then collects all the time: that was a third of what an echo of 100 KB took (ADR 0017).
const heapFloor = 8 << 20

// keepHeap lets the process's heap grow to heapFloor, from now on, unless the operator has a rule (GOGC).
func keepHeap() {
	if os.Getenv("GOGC") == "" {
		h := &heap{percent: 100}
		h.adjust()
		afterCollections(h.adjust)
	}
}

// afterCollections has f called after each collection, without a goroutine of its own.
func afterCollections(f func()) {
	runtime.AddCleanup(new(*byte), func(f func()) {
		f()
		afterCollections(f)
	}, f)
}

// heap is the rule by which the process's heap is collected.
type heap struct{ percent int }

// adjust sets GOGC as what was live at the last collection asks for.
func (h *heap) adjust() {
	sizes := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(sizes)
	live := sizes[0].Value.Uint64()
	p := percent(live, live+sizes[1].Value.Uint64()+sizes[2].Value.Uint64())
	if d := p - h.percent; d*d*64 > h.percent*h.percent || p == 100 && d != 0 { // each change stops the world
		h.percent = p
		debug.SetGCPercent(p)
	}
}

// percent is the GOGC with which a heap of which so much is live grows to heapFloor, or to twice itself. It is a share of
// what the collector scans: the live heap, stacks and globals.
func percent(live, scanned uint64) int {
	if live >= heapFloor {
		return 100
	}
	return max(int((heapFloor-live)*100/max(scanned, 1<<20)), 100)
}
