package bufpool

import (
	"bytes"
	"testing"
)

func TestGetHasRoom(t *testing.T) {
	for _, n := range []int{0, 1, 1023, 1024, 1025, 4096, 4097, 65536, 1 << 20, 1<<20 + 1, 5 << 20} {
		b := Get(n)
		if len(b) != 0 || cap(b) < n {
			t.Errorf("Get(%d): length %d, capacity %d", n, len(b), cap(b))
		}
		if n > 1024 && n <= 1<<20 && cap(b) > 4*n {
			t.Errorf("Get(%d): capacity %d is more than four times that", n, cap(b))
		}
		Put(b)
	}
}

func TestPutDropsOddCapacities(t *testing.T) {
	Put(make([]byte, 0, 1500))
	Put(make([]byte, 10))
	Put(nil)
	for range 100 {
		if b := Get(1024); cap(b) != 1024 {
			t.Fatalf("a buffer of capacity %d came back", cap(b))
		}
	}
}

func TestGrowKeepsBytes(t *testing.T) {
	var b, want []byte
	for i := range 3000 {
		b = append(Grow(b, 7), "sidere"...)
		b = append(b, byte(i))
		want = append(append(want, "sidere"...), byte(i))
	}
	if !bytes.Equal(b, want) {
		t.Error("bytes were lost while growing")
	}
	Put(b)
}

// A buffer that grows piece by piece is copied a few times, not once for each piece, also beyond
// the largest class.
func TestGrowCopiesSeldom(t *testing.T) {
	const total, piece = 16 << 20, 4 << 10
	var b []byte
	grown, last := 0, 0
	for len(b) < total {
		b = Grow(b, 1)
		if cap(b) != last {
			grown, last = grown+1, cap(b)
		}
		b = b[:min(len(b)+piece, cap(b))]
	}
	if grown > 12 {
		t.Errorf("copied %d times on the way to %d bytes", grown, total)
	}
	if cap(b) > 2*total {
		t.Errorf("capacity %d for %d bytes", cap(b), total)
	}
}

func TestNoAllocations(t *testing.T) {
	Put(Get(4000))
	if n := testing.AllocsPerRun(100, func() { Put(Get(4000)) }); n > 0.1 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkGetPut(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Put(Get(4096))
	}
}
