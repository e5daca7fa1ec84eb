package worker

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the size of the heap below which the process doesn't collect garbage. From a live
// heap of half that size on, Go's own rule holds: collect when the heap has doubled. Go begins at 4
// MB, where a busy worker with few sessions collects all the time: a third of the cost of an echo
// of 100 KB (ADR 0017).
const heapFloor = 8 << 20

// keepHeap lets the process's heap grow to heapFloor, unless the operator has set GOGC.
func keepHeap() {
	if os.Getenv("GOGC") == "" {
		h := &heap{percent: 100}
		h.adjust()
		afterCollections(h.adjust)
	}
}

// afterCollections calls f after each collection, without a goroutine of its own.
func afterCollections(f func()) {
	runtime.AddCleanup(new(*byte), func(f func()) {
		f()
		afterCollections(f)
	}, f)
}

// heap decides when the process collects garbage.
type heap struct{ percent int }

// adjust sets GOGC according to the size of the live heap at the last collection.
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

// percent returns the GOGC with which a heap grows to heapFloor, or to twice its live size if that
// is more. GOGC is relative to what the collector scans: the live heap, stacks and globals.
func percent(live, scanned uint64) int {
	if live >= heapFloor {
		return 100
	}
	return max(int((heapFloor-live)*100/max(scanned, 1<<20)), 100)
}
