//go:build linux && !race

package relay

import (
	"io"
	"testing"
)

// A message allocates nothing in the loop.
func TestAMessageAllocatesNothing(t *testing.T) {
	j := join(t, "TCP", "TCP", "", "")
	msg := make([]byte, 128)
	if n := testing.AllocsPerRun(1000, func() {
		j.a.Write(msg)
		io.ReadFull(j.b, msg)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
