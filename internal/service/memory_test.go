package service

import "testing"

func TestMemoryIsReleasedAfterEachWave(t *testing.T) {
	const mb = 1 << 20
	var seen activity
	for i, look := range []struct {
		allocated, there, live uint64
		over                   bool
	}{
		{3 * mb, 3 * mb, 0, false}, // the start
		{3*mb + 100, 3*mb + 100, 0, true},
		{3*mb + 200, 2 * mb, 2 * mb, false}, // that was the collection
		{20 * mb, 7 * mb, 4 * mb, false},    // a wave, collected as it came
		{28 * mb, 6 * mb, 5 * mb, false},
		{28*mb + 1000, 6*mb + 1000, 5 * mb, true},
		{28*mb + 2000, 5 * mb, 5 * mb, false},
		{28*mb + 3000, 5*mb + 1000, 5 * mb, false},
	} {
		if got := seen.over(look.allocated, look.there, look.live); got != look.over {
			t.Errorf("look %d: %t", i, got)
		}
	}
}
