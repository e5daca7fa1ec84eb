package engine

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// chunks is a connection that hands over its bytes in pieces of n.
type chunks struct {
	net.Conn
	b []byte
	n int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.n)], c.b)
	c.b = c.b[n:]
	return n, nil
}

func testConfig() *Config {
	return &Config{MaxMessage: 1 << 17, DeflateThreshold: 100}
}

// messages reads all there is, in the given pieces.
func messages(b []byte, n int, deflate bool) (out []string, err error) {
	s := newSocket(&chunks{b: b, n: n}, testConfig())
	s.deflate = deflate
	for {
		op, data, err := s.next()
		if err != nil {
			s.release()
			return out, err
		}
		out = append(out, string([]byte{'0' + byte(op)})+string(data))
	}
}

func FuzzFramesInAnyChunks(f *testing.F) {
	f.Add([]byte("\x81\x02ab\x01\x01a\x89\x00\x80\x01b\x82\x00\x88\x02\x03\xe8"), uint8(3), false)
	f.Add(append([]byte("\x81\x7e\x01\x2c"), make([]byte, 300)...), uint8(7), true)
	f.Add([]byte("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), uint8(1), true) // "Hello", from RFC 7692, 7.2.3.1
	f.Fuzz(func(t *testing.T, b []byte, n uint8, deflate bool) {
		whole, err1 := messages(b, 1<<20, deflate)
		pieces, err2 := messages(b, int(n)+1, deflate)
		if strings.Join(whole, "|") != strings.Join(pieces, "|") || (err1 == nil) != (err2 == nil) || err1.Error() != err2.Error() {
			t.Errorf("at once %q, %v; in pieces of %d %q, %v", whole, err1, n+1, pieces, err2)
		}
	})
}

func TestLargeMessages(t *testing.T) {
	for _, size := range []int{0, 125, 126, 0xffff, 0x10000, 1 << 17} {
		frame := ws.MustCompileFrame(ws.NewBinaryFrame(bytes.Repeat([]byte{7}, size)))
		got, err := messages(append(frame, frame...), 1000, false)
		if len(got) != 2 || len(got[1]) != 1+size || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: %d messages, %v", size, len(got), err)
		}
	}
	tooLarge := ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 1<<17+1)))
	if _, err := messages(tooLarge, 1000, false); !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the limit: %v", err)
	}
	half := ws.NewFrame(ws.OpBinary, false, make([]byte, 1<<16+1))
	rest := ws.NewFrame(ws.OpContinuation, true, make([]byte, 1<<16))
	if _, err := messages(append(ws.MustCompileFrame(half), ws.MustCompileFrame(rest)...), 1000, false); !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the limit in fragments: %v", err)
	}
}

// A frame that announces much must not make us allocate much.
func TestAnnouncedLengthIsNotBelieved(t *testing.T) {
	s := newSocket(&chunks{b: []byte("\x82\x7f\x00\x00\x00\x00\x10\x00\x00\x00abc"), n: 100}, &Config{MaxMessage: 1 << 30})
	if _, _, err := s.next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if cap(s.buf) > 4*blockSize {
		t.Errorf("%d bytes allocated", cap(s.buf))
	}
}

func TestSentFramesAreMaskedAndWhole(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		for _, size := range []int{0, 124, 125, 1000, 70_000} {
			s := newSocket(&chunks{}, testConfig())
			s.deflate = deflate
			text := strings.Repeat("x", size)
			f, err := ws.ReadFrame(bytes.NewReader(s.appendPacket(nil, packet.Packet{Type: packet.Message, Data: []byte(text)})))
			if err != nil || !f.Header.Masked || !f.Header.Fin {
				t.Fatalf("%v, %+v", err, f.Header)
			}
			got := ws.UnmaskFrame(f).Payload
			if compressed := f.Header.Rsv1(); compressed != (deflate && size >= 100) {
				t.Errorf("%d bytes, deflate %t: compressed %t", size, deflate, compressed)
			} else if compressed {
				if got, err = inflate(got, 1<<17); err != nil {
					t.Fatal(err)
				}
			}
			if string(got) != "4"+text {
				t.Errorf("%d bytes came as %d", size, len(got))
			}
		}
	}
}

func TestCompressionBomb(t *testing.T) {
	bomb := deflated(bytes.Clone, make([]byte, 10<<20))
	if _, err := inflate(bomb, 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes inflated: %v", len(bomb), err)
	}
}

// Reading and writing on TCP allocate nothing of their own.
func TestRawAllocatesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	out, in := newRaw(a), newRaw(b)
	if out == nil {
		t.Skip("not on this system")
	}
	text := []byte("some bytes")
	n := testing.AllocsPerRun(100, func() {
		if n, err := out.WriteNow(text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		block, err := in.ReadBorrowed(blockSize)
		if string(block) != string(text) || err != nil {
			t.Fatal(block, err)
		}
		bufpool.Put(block)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
