package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Each power of two has so many buckets: a duration is told to within 1/128 of itself.
const (
	bucketBits = 7
	buckets    = (63-bucketBits)<<bucketBits + 1<<bucketBits
)

// histogram counts durations, in 57 KB however many and however long they are. It may be used concurrently.
type histogram struct {
	counts [buckets]atomic.Int64
	n      atomic.Int64
	most   atomic.Int64
}

// add counts a duration; one below zero, of a clock that was set back, counts as zero.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	h.n.Add(1)
	for most := h.most.Load(); int64(d) > most && !h.most.CompareAndSwap(most, int64(d)); {
		most = h.most.Load()
	}
}

// quantile is the duration that a share of all does not exceed, 0.99 for one; 0 without any. It is never below the exact one,
// and less than 1 % above it.
func (h *histogram) quantile(share float64) time.Duration {
	rank := max(int64(share*float64(h.n.Load())+0.999999), 1)
	for i := range h.counts {
		if rank -= h.counts[i].Load(); rank <= 0 {
			return min(lastOf(i), time.Duration(h.most.Load()))
		}
	}
	return time.Duration(h.most.Load())
}

// bucketOf is the bucket of a duration. The first 256 are one nanosecond wide, each further 128 twice as wide as the 128 before.
func bucketOf(d time.Duration) int {
	shift := max(bits.Len64(uint64(d))-bucketBits-1, 0)
	return shift<<bucketBits + int(d>>shift)
}

// lastOf is the longest duration of a bucket.
func lastOf(bucket int) time.Duration {
	shift := max(bucket>>bucketBits-1, 0)
	first := time.Duration(bucket-shift<<bucketBits) << shift
	return first + 1<<shift - 1
}
