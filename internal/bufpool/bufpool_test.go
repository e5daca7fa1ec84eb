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
		if n > 1024 && n <= maxSize && cap(b) > 4*n {
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
