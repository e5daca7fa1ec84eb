package http1

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestChunkedBodies(t *testing.T) {
	for _, c := range []struct {
		raw, data string
	}{
		{"0\r\n\r\n", ""},
		{"5\r\nhello\r\n0\r\n\r\n", "hello"},
		{"5;a=b;c=\"d\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\nZ: \r\n\r\n", "hello0123456789"},
	} {
		for split := 0; split <= len(c.raw); split++ {
			var ch Chunks
			var got []byte
			var done bool
			total := 0
			for _, part := range []string{c.raw[:split], c.raw[split:] + "GET /next"} {
				var n int
				var err error
				if got, n, done, err = ch.Decode(got, []byte(part)); err != nil {
					t.Fatalf("%q split at %d: %v", c.raw, split, err)
				}
				if total += n; done {
					break
				}
			}
			if !done || total != len(c.raw) || string(got) != c.data {
				t.Errorf("%q split at %d: %q, %d bytes, done %v", c.raw, split, got, total, done)
			}
		}
	}
}

func TestChunkedBodiesRefused(t *testing.T) {
	for _, raw := range []string{
		"\r\n", "g\r\n", "-1\r\n", "+1\r\n", " 1\r\n", "0x1\r\n", "1 \r\n", "1\nx", "1\r\nxy", "1\r\nx\n", "1\r\nx\rz", "1;a\n", ";a\r\n",
		"1234567890123456\r\n", "0\r\n x: y\r\n", "0\r\nx: y\n", "0\r\n\n", "0\r\n\rx", "1;\x00\r\n",
		"0\r\nx\r\n\r\n", "0\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", "0\r\nx y: z\r\n\r\n", "0\r\nx : z\r\n\r\n", "0\r\n: z\r\n\r\n",
		"1;" + strings.Repeat("a", maxChunkLine+1) + "\r\n", "0\r\n" + strings.Repeat("a: b\r\n", maxTrailerLines+1) + "\r\n",
	} {
		var c Chunks
		if _, done, err := c.Feed([]byte(raw)); err == nil || done {
			t.Errorf("%q: done %v, %v", raw, done, err)
		}
	}
}

// FuzzChunks: the same in any pieces; and what we accept, net/http understands as we do.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		defer testkit.BoundCost(t, len(b))()
		var whole, pieces Chunks
		data, n, done, err := whole.Decode(nil, b)
		var got []byte
		var done2 bool
		var err2 error
		total, step := 0, int(size)+1
		for at := 0; at < len(b) && !done2 && err2 == nil; at += step {
			var k int
			got, k, done2, err2 = pieces.Decode(got, b[at:min(at+step, len(b))])
			total += k
		}
		if done != done2 || (err == nil) != (err2 == nil) || n != total || !bytes.Equal(data, got) {
			t.Fatalf("%q: whole %q %d %v %v, in pieces of %d %q %d %v %v", b, data, n, done, err, step, got, total, done2, err2)
		}
		if !done {
			return
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b)))
		if err == nil && !bytes.Equal(theirs, data) {
			t.Errorf("%q: %q, net/http %q", b, data, theirs)
		}
	})
}
