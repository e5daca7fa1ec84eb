package worker

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
)

func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		live, scanned uint64
		want          int
	}{
		{0, 0, 800},
		{1 * mb, 1 * mb, 700},
		{2 * mb, 3 * mb, 200}, // 6 MB more than what is live, of 3 MB scanned
		{4 * mb, 4 * mb, 100},
		{6 * mb, 6 * mb, 100},
		{8 * mb, 8 * mb, 100},
		{100 * mb, 110 * mb, 100},
	} {
		if got := percent(c.live, c.scanned); got != c.want {
			t.Errorf("%d MB live, %d MB scanned: %d, want %d", c.live/mb, c.scanned/mb, got, c.want)
		}
	}
}

func TestHeapFollowsWhatIsLive(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	h := heap{percent: 100}
	kept := make([]byte, 2*heapFloor)
	runtime.GC()
	h.adjust()
	if h.percent != 100 {
		t.Errorf("GOGC %d with much that is live", h.percent)
	}
	runtime.KeepAlive(kept)
	kept = nil
	runtime.GC()
	h.adjust()
	if got := debug.SetGCPercent(100); got != h.percent {
		t.Errorf("GOGC is %d, not %d", got, h.percent)
	}
}

// One that is under way when the last was noticed may not count.
func TestAfterCollections(t *testing.T) {
	var times atomic.Int32
	afterCollections(func() { times.Add(1) })
	for times.Load() < 3 {
		runtime.GC()
		runtime.Gosched()
	}
}
