package streams

import (
	"math/rand/v2"
	"testing"
)

// simulate adds entries of some sizes to a window and to a stream that is trimmed as the window
// says, and returns the sizes that are left. Check is called after each entry.
func simulate(t *testing.T, maxBytes int, sizes []int, check func(left []int)) {
	t.Helper()
	w := window{maxBytes: maxBytes}
	var left []int
	first := 0 // the number of the first that is left
	for i, size := range sizes {
		w.add(offset{ms: uint64(i)}, size)
		left = append(left, size)
		if keep, due := w.trim(); due {
			left = left[int(keep.ms)-first:]
			first = int(keep.ms)
		}
		if got := sum(left); got != w.bytes {
			t.Fatalf("after entry %d the stream has %d bytes, the window %d", i, got, w.bytes)
		}
		if n := len(w.parts); n > 2*windowParts {
			t.Fatalf("%d parts", n)
		}
		check(left)
	}
}

func sum(list []int) (total int) {
	for _, n := range list {
		total += n
	}
	return total
}

func TestWindowKeepsTheBound(t *testing.T) {
	const maxBytes = 32_000
	rng := rand.New(rand.NewPCG(1, 2))
	for name, size := range map[string]func() int{
		"small":       func() int { return 100 },
		"mixed":       func() int { return 1 + rng.IntN(5000) },
		"an eighth":   func() int { return maxBytes / 8 },
		"mostly tiny": func() int { return 1 + rng.IntN(20)/19*10_000 },
	} {
		sizes := make([]int, 20_000)
		for i := range sizes {
			sizes[i] = size()
		}
		full := false
		simulate(t, maxBytes, sizes, func(left []int) {
			total := sum(left)
			if total > maxBytes {
				t.Fatalf("%s: %d bytes", name, total)
			}
			full = full || total > maxBytes*3/4
			if full && total < maxBytes/2 {
				t.Fatalf("%s: trimmed to %d bytes", name, total)
			}
		})
		if !full {
			t.Errorf("%s: the stream was never full", name)
		}
	}
}

// Entries as large as the bound are still there for a server that is slower by one, and go when
// small ones follow.
func TestWindowKeepsTwoLargeEntries(t *testing.T) {
	n := 0
	simulate(t, 1000, []int{10, 2000, 2000, 2000, 40, 40, 40}, func(left []int) {
		n++
		if len(left) < min(n, 2) {
			t.Errorf("after entry %d, %d are left", n, len(left))
		}
		if total := sum(left); n == 7 && total > 1000 || total > 4100 {
			t.Errorf("after entry %d the stream has %v", n, left)
		}
	})
}

func TestWindowWithoutABound(t *testing.T) {
	w := window{maxBytes: -1}
	w.add(offset{ms: 1}, 1<<40)
	if _, due := w.trim(); due || len(w.parts) > 0 || w.tooLarge(1<<40) {
		t.Errorf("%+v", w)
	}
}

func TestWindowTellsWhatIsTooLarge(t *testing.T) {
	w := window{maxBytes: 800}
	if w.tooLarge(700) || !w.tooLarge(701) {
		t.Error("the limit isn't 700")
	}
}
