package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var exact []time.Duration
	for range 10_000 { // from nanoseconds to minutes
		d := time.Duration(math.Exp(random.Float64() * 25))
		exact = append(exact, d)
		h.add(d)
	}
	slices.Sort(exact)
	for _, share := range []float64{0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.9999, 1} {
		want := exact[max(int(math.Ceil(share*float64(len(exact)))), 1)-1]
		if got := h.quantile(share); got < want || float64(got) > float64(want)*1.01 {
			t.Errorf("quantile %v is %v, want %v", share, got, want)
		}
	}
	if got, want := h.quantile(1), exact[len(exact)-1]; got != want {
		t.Errorf("the longest is %v, want exactly %v", got, want)
	}
}

func TestHistogramTakesEveryDuration(t *testing.T) {
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Errorf("without any: %v", got)
	}
	for shift := range 63 {
		for _, d := range []time.Duration{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			bucket := bucketOf(d)
			if last := lastOf(bucket); last < d || bucket > 0 && lastOf(bucket-1) >= d {
				t.Errorf("%d is in bucket %d, which ends with %d", d, bucket, last)
			}
		}
	}
	h.add(math.MaxInt64)
	h.add(-1) // of a clock that was set back
	if got := h.quantile(1); got != math.MaxInt64 {
		t.Errorf("the longest is %d", got)
	}
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("the shorter of two is %v", got)
	}
}
