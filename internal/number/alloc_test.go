//go:build !race

package number

import "testing"

// Under the race detector pools forget at random what they are given.

func TestUsualNumbersDontAllocate(t *testing.T) {
	buf := make([]byte, 0, 64)
	for text := range spellings {
		if n := testing.AllocsPerRun(10, func() { buf = AppendText(buf[:0], []byte(text)) }); n > 3 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
