package engineio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// script is a frameSink that writes down what it gets.
type script struct{ lines []string }

func (s *script) message(op byte, data []byte) error {
	s.lines = append(s.lines, fmt.Sprintf("message %d %x", op, data))
	return nil
}

func (s *script) control(op byte, data []byte) error {
	s.lines = append(s.lines, fmt.Sprintf("control %d %x", op, data))
	if op == opClose {
		return errStop
	}
	return nil
}

// parse feeds a copy of stream in chunks of the lengths that cuts repeats, and gives what came out.
func parse(stream []byte, deflate bool, cuts []byte) []string {
	var s script
	p := parser{limit: 1 << 16, deflate: deflate}
	defer p.release()
	b := bytes.Clone(stream)
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		if err := p.feed(b[:n], &s); err != nil {
			return append(s.lines, err.Error())
		}
		b = b[n:]
	}
	return s.lines
}

func FuzzFrames(f *testing.F) {
	all := bytes.Join([][]byte{
		text("4hello"), frame(finBit|opBinary, make([]byte, 200)), frame(opText, []byte("4a")), frame(finBit|opPing, []byte("p")),
		frame(opContinuation, nil), frame(finBit|opContinuation, []byte("b")), frame(finBit|opBinary, make([]byte, 70000)),
	}, nil)
	f.Add(all, []byte{0}, false)
	f.Add(all[:500], []byte{3, 1, 200}, true)
	f.Add(frame(finBit|rsv1Bit|opText, deflateFrame(opText, []byte("4hello"))[2:]), []byte{0}, true)
	f.Add(frame(finBit|opClose, []byte{3, 232}), []byte{1}, false)
	f.Add([]byte{finBit | opText, 5}, []byte{0}, false)
	f.Fuzz(func(t *testing.T, stream, cuts []byte, deflate bool) {
		whole, cut := parse(stream, deflate, nil), parse(stream, deflate, cuts)
		if fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Errorf("whole: %v\nin chunks: %v", whole, cut)
		}
	})
}

// lengths is a frameSink that only counts.
type lengths struct {
	t   *testing.T
	got []int
}

func (l *lengths) message(_ byte, data []byte) error {
	if len(bytes.Trim(data, "x")) > 0 {
		l.t.Errorf("a message of %d bytes was not unmasked", len(data))
	}
	l.got = append(l.got, len(data))
	return nil
}

func (l *lengths) control(byte, []byte) error { return nil }

// Frames of another implementation, with every length's form, cut within and between headers.
func TestFramesOfGobwas(t *testing.T) {
	var stream bytes.Buffer
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536}
	for _, n := range sizes {
		f := ws.MaskFrame(ws.NewTextFrame(bytes.Repeat([]byte("x"), n)))
		if err := ws.WriteFrame(&stream, f); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 450 {
		p, l := parser{limit: 1 << 16}, &lengths{t: t}
		b := bytes.Clone(stream.Bytes())
		for _, part := range [][]byte{b[:i], b[i : i+1], b[i+1:]} {
			if err := p.feed(part, l); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(l.got, sizes) {
			t.Fatalf("cut at %d: messages of %v bytes", i, l.got)
		}
	}
}

// A header alone makes no buffer, however much it announces.
func TestAnnouncedLengthCostsNothing(t *testing.T) {
	p := parser{limit: 1 << 40}
	defer p.release()
	h := binary.BigEndian.AppendUint64([]byte{finBit | opBinary, maskBit | 127}, 1<<39)
	if err := p.feed(append(h, 1, 2, 3, 4, 5), &script{}); err != nil {
		t.Fatal(err)
	}
	if cap(p.msg) > 4096 {
		t.Errorf("a buffer of %d bytes for 1 byte of payload", cap(p.msg))
	}
}

func TestUnmask(t *testing.T) {
	key := [4]byte{1, 2, 3, 250}
	for n := range 100 {
		b := make([]byte, n)
		want := make([]byte, n)
		for i := range b {
			b[i] = byte(i * 7)
			want[i] = b[i] ^ key[i%4]
		}
		k := binary.LittleEndian.Uint32(key[:])
		for cut := range n + 1 {
			got := bytes.Clone(b)
			unmask(got[cut:], unmask(got[:cut], k))
			if !bytes.Equal(got, want) {
				t.Fatalf("%d bytes cut at %d: %v, want %v", n, cut, got, want)
			}
		}
	}
}

// keeper is a frameSink that keeps binary messages.
type keeper struct{ got [][]byte }

func (k *keeper) message(op byte, data []byte) error {
	if op == opBinary {
		k.got = append(k.got, data)
	}
	return nil
}

func (k *keeper) control(byte, []byte) error { return nil }

// Binary messages are the sink's: no message that follows changes them, in whatever pieces they
// came, and they hold no more memory than twice what they are.
func TestBinaryIsGivenAway(t *testing.T) {
	for _, piece := range []int{1000, 16 << 10, 64 << 10, 1 << 20} {
		var k keeper
		p := parser{limit: 1 << 20}
		sizes := []int{0, 1, 1 << 10, 4 << 10, 16<<10 - 10, 64 << 10, 100 << 10, 256 << 10}
		for i, n := range sizes {
			half := bytes.Repeat([]byte{byte(i + 1)}, n/2)
			stream := slices.Concat(
				frame(finBit|opBinary, bytes.Repeat([]byte{byte(i + 1)}, n)), text("4"+string(make([]byte, n))),
				frame(opBinary, half), frame(finBit|opContinuation, half),
			)
			for b := range slices.Chunk(stream, piece) {
				if err := p.feed(b, &k); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(k.got) != 2*len(sizes) {
			t.Fatalf("pieces of %d: %d messages", piece, len(k.got))
		}
		for i, data := range k.got {
			n := sizes[i/2] &^ (i % 2)
			if !bytes.Equal(data, bytes.Repeat([]byte{byte(i/2 + 1)}, n)) {
				t.Errorf("pieces of %d: message %d of %d bytes was changed", piece, i, n)
			}
			if cap(data) > 2*n+64 {
				t.Errorf("pieces of %d: message %d of %d bytes holds %d", piece, i, n, cap(data))
			}
		}
		p.release()
	}
}

// The bytes that a message in fragments has copied don't depend on how many there are.
func TestFragmentsAreCopiedSeldom(t *testing.T) {
	const size = 1 << 18
	for name, first := range map[string]byte{"text": opText, "binary": opBinary, "deflated": opBinary | rsv1Bit} {
		for _, piece := range []int{1, 100, 4096} {
			p := parser{limit: size, deflate: true}
			copied, last := 0, 0
			op := first
			for n := 0; n < size; n += piece {
				fragment := frame(op, bytes.Repeat([]byte("x"), min(piece, size-n)))
				op = opContinuation
				for _, part := range [][]byte{fragment[:len(fragment)-1], fragment[len(fragment)-1:]} {
					if err := p.feed(part, nullSink{}); err != nil {
						t.Fatal(err)
					}
				}
				if cap(p.msg) != last {
					copied += last
					last = cap(p.msg)
				}
			}
			if copied > 2*size {
				t.Errorf("%s in fragments of %d: %d bytes copied for %d", name, piece, copied, size)
			}
			if cap(p.msg) > 4*size {
				t.Errorf("%s in fragments of %d: a buffer of %d for %d", name, piece, cap(p.msg), size)
			}
			p.release()
		}
	}
}

type nullSink struct{}

func (nullSink) message(byte, []byte) error { return nil }
func (nullSink) control(byte, []byte) error { return nil }

func TestParserAllocatesNothing(t *testing.T) {
	stream := append(text("4hello"), frame(finBit|opPing, []byte("x"))...)
	b := make([]byte, len(stream))
	p := parser{limit: 1000}
	if n := testing.AllocsPerRun(100, func() {
		copy(b, stream)
		if p.feed(b[:4], nullSink{}) != nil || p.feed(b[4:], nullSink{}) != nil {
			t.Fatal("not parsed")
		}
	}); n > 0.1 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// A message of 100 KB that comes in two reads is copied into one buffer, which is the receiver's.
func TestBigBinaryAllocations(t *testing.T) {
	stream := frame(finBit|opBinary, make([]byte, 100<<10))
	b := make([]byte, len(stream))
	p := parser{limit: 1 << 20}
	if n := testing.AllocsPerRun(100, func() {
		copy(b, stream)
		if p.feed(b[:64<<10], nullSink{}) != nil || p.feed(b[64<<10:], nullSink{}) != nil {
			t.Fatal("not parsed")
		}
	}); n > 1 {
		t.Errorf("%v allocations, want 1", n)
	}
	if n := testing.AllocsPerRun(100, func() { NewBinary(b) }); n > 2 {
		t.Errorf("NewBinary: %v allocations, want 2", n)
	}
}

func BenchmarkParser(b *testing.B) {
	for _, n := range []int{100, 10000, 100 << 10} {
		stream := frame(finBit|opBinary, make([]byte, n))
		in := make([]byte, len(stream))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			p := parser{limit: 1 << 20}
			for b.Loop() {
				copy(in, stream)
				for piece := range slices.Chunk(in, 64<<10) { // as a poller reads
					if err := p.feed(piece, nullSink{}); err != nil && err != io.EOF {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
