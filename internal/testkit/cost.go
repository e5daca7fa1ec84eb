package testkit

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// The bounds of BoundCost are far above what reading takes, also under the race detector and a
// fuzzer, and far below what work takes that grows faster than its input.
const (
	costBytes    = 8 << 20 // the fuzzer beside allocates, too
	costPerByte  = 1000
	costTime     = 500 * time.Millisecond
	costTimeByte = 20 * time.Microsecond
)

// BoundCost fails the test when the work until the returned function is called costs more than n
// bytes of input may cost: in allocated bytes and in CPU time of this thread, which the work must
// not leave. It is for fuzz targets:
//
//	defer testkit.BoundCost(t, len(input))()
func BoundCost(t testing.TB, n int) func() {
	t.Helper()
	runtime.LockOSThread()
	bytes, cpu := allocated(), threadTime()
	return func() {
		t.Helper()
		cpu, bytes := threadTime()-cpu, allocated()-bytes
		runtime.UnlockOSThread()
		if most := uint64(costBytes + costPerByte*n); bytes > most {
			t.Errorf("%d bytes of input made the decoder allocate %d, more than %d", n, bytes, most)
		}
		if most := costTime + time.Duration(n)*costTimeByte; cpu > most {
			t.Errorf("%d bytes of input took %v of CPU, more than %v", n, cpu, most)
		}
	}
}

// allocated is the number of bytes that the process has allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
