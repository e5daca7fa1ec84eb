package engineio

import (
	"bytes"
	"runtime"
	"slices"
	"testing"
)

// FuzzFrameCost wants the parser's work bounded by what it is fed, whatever frames that are and in
// whatever pieces they come: the bytes that it copies from buffer to buffer, and those that it
// allocates.
func FuzzFrameCost(f *testing.F) {
	one := frame(opContinuation, []byte("x"))
	f.Add(slices.Concat(frame(opBinary, []byte("x")), bytes.Repeat(one, 5000)), []byte{255})
	f.Add(slices.Concat(frame(opText, []byte("4")), bytes.Repeat(one, 5000)), []byte{0})
	f.Add(bytes.Repeat(frame(opText|finBit, nil), 5000), []byte{6})
	f.Add(slices.Concat(frame(opBinary, nil), bytes.Repeat(frame(opContinuation, nil), 5000)), []byte{255})
	f.Add(bytes.Repeat(frame(opPing|finBit, []byte("ping")), 5000), []byte{3, 1})
	f.Add(bytes.Repeat(slices.Concat(frame(opBinary, []byte("x")), frame(opPing|finBit, []byte("p")), frame(opContinuation|finBit, []byte("y"))), 2000), []byte{1})
	f.Add(frame(opBinary|finBit, make([]byte, 60_000)), []byte{0})
	f.Fuzz(func(t *testing.T, stream, cuts []byte) {
		b := bytes.Clone(stream)
		p := parser{limit: 1 << 20}
		defer p.release()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		copied, last := 0, 0
		for i := 0; len(b) > 0; i++ {
			n := len(b)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])+1)
			}
			if p.feed(b[:n], nullSink{}) != nil {
				break
			}
			if b = b[n:]; cap(p.msg) != last {
				copied += min(last, len(p.msg))
				last = cap(p.msg)
			}
		}
		runtime.ReadMemStats(&after)
		if copied > 3*len(stream) {
			t.Errorf("%d bytes copied for %d", copied, len(stream))
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(16*len(stream)+256<<10) {
			t.Errorf("%d bytes allocated for %d", got, len(stream))
		}
	})
}
