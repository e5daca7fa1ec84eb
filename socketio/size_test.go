package socketio

import (
	"testing"
	"unsafe"
)

// The parts of an idle socket fit the allocator's size classes exactly: a field more may cost
// 16 bytes.
func TestSizes(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	if size := unsafe.Sizeof(client{}); size > 128 {
		t.Errorf("client: %d bytes, at most 128 were planned", size)
	}
	if size := unsafe.Sizeof(Socket{}); size > 160 {
		t.Errorf("Socket: %d bytes, at most 160 were planned", size)
	}
}
