package engineio

import (
	"testing"
	"unsafe"
)

// The parts of an idle WebSocket fit the allocator's size classes exactly: a field more may
// cost 16 to 32 bytes.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	for _, c := range []struct {
		name       string
		size, most uintptr
	}{
		{"Session", unsafe.Sizeof(Session{}), 240},
		{"webSocket", unsafe.Sizeof(webSocket{}), 176},
	} {
		if c.size > c.most {
			t.Errorf("%s: %d bytes, at most %d were planned", c.name, c.size, c.most)
		}
	}
}
