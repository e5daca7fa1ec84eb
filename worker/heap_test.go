package worker

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
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
	runtime.GC()
	h.adjust()
	if got := debug.SetGCPercent(100); got != h.percent {
		t.Errorf("GOGC is %d, not %d", got, h.percent)
	}
}

// Each collection has f called once: not only the first, and not more often than there are
// collections.
func TestAfterCollections(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // none but ours
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var times atomic.Uint32
	afterCollections(func() { times.Add(1) })
	for n := range uint32(3) {
		testkit.Until(t, "f is called after a collection", func() bool {
			runtime.GC() // one that began before the last call may not count
			return times.Load() > n
		})
	}
	calls := times.Load()
	if runtime.ReadMemStats(&after); calls > after.NumGC-before.NumGC {
		t.Errorf("called %d times after %d collections", calls, after.NumGC-before.NumGC)
	}
}
