package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Each power of two has this many buckets, so a duration is accurate to 1/128.
const (
	bucketBits = 7
	buckets    = (63-bucketBits)<<bucketBits + 1<<bucketBits
)

// histogram counts durations in 57 KB, whatever their number and size. It may be used concurrently.
type histogram struct {
	counts [buckets]atomic.Int64
	n      atomic.Int64
	most   atomic.Int64
}

// add counts a duration. A negative one, from a clock that was set back, counts as zero.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	h.n.Add(1)
	for most := h.most.Load(); int64(d) > most && !h.most.CompareAndSwap(most, int64(d)); {
		most = h.most.Load()
	}
}

// quantile returns the duration that a share (such as 0.99) of all durations doesn't exceed, or 0
// without any. It's never below the exact value, and less than 1 % above it.
func (h *histogram) quantile(share float64) time.Duration {
	rank := max(int64(share*float64(h.n.Load())+0.999999), 1)
	for i := range h.counts {
		if rank -= h.counts[i].Load(); rank <= 0 {
			return min(lastOf(i), time.Duration(h.most.Load()))
		}
	}
	return time.Duration(h.most.Load())
}

// bucketOf returns the bucket of a duration. The first 256 are one nanosecond wide. Each further
// 128 are twice as wide as the 128 before.
func bucketOf(d time.Duration) int {
	shift := max(bits.Len64(uint64(d))-bucketBits-1, 0)
	return shift<<bucketBits + int(d>>shift)
}

// lastOf returns the longest duration of a bucket.
func lastOf(bucket int) time.Duration {
	shift := max(bucket>>bucketBits-1, 0)
	first := time.Duration(bucket-shift<<bucketBits) << shift
	return first + 1<<shift - 1
}
