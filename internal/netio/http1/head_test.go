package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio/http1/http1test"
)

func TestRequestHeadsRefused(t *testing.T) {
	for name, c := range http1test.RefusedHeads {
		t.Run(name, func(t *testing.T) {
			var h Head
			_, err := h.ParseRequest([]byte(c.Raw), 0)
			f, ok := err.(*Refusal)
			if !ok || f.Status != c.Status {
				t.Errorf("got %v, want %d", err, c.Status)
			}
		})
	}
}

func TestRequestHeadRead(t *testing.T) {
	raw := []byte("POST /a?b HTTP/1.1\r\nhOST: x:80\r\nContent-length:  12 \r\nConnection: keep-alive , Foo\r\nConnection: close\r\n" +
		"X-Empty:\r\nFoo: 1\r\nSidereal-Key: k\r\nSidereal-Other: o\r\nX-Forwarded-Port: 1\r\nExpect: 100-continue\r\n\r\nbody")
	var h Head
	n, err := h.ParseRequest(raw, 0)
	if err != nil || n != len(raw)-4 {
		t.Fatal(n, err)
	}
	if string(h.Method.Of(raw)) != "POST" || string(h.Target.Of(raw)) != "/a?b" || h.Minor != 1 || h.Length != 12 {
		t.Errorf("%+v", h.Method)
	}
	if !h.Close || !h.KeepAlive || !h.Named || !h.Expect || h.Chunked || h.Upgrade {
		t.Errorf("close %v, keepAlive %v, named %v, expect %v", h.Close, h.KeepAlive, h.Named, h.Expect)
	}
	if !h.IsNamed(raw, []byte("foo")) || h.IsNamed(raw, []byte("bar")) {
		t.Error("Connection's names")
	}
	want := []FieldID{FieldHost, FieldContentLength, FieldConnection, FieldConnection, FieldOther, FieldOther, FieldSiderealKey, FieldSidereal, FieldForwarded, FieldExpect}
	for i, id := range want {
		if h.fields[i].ID != id {
			t.Errorf("field %q is %d, want %d", h.fields[i].Name.Of(raw), h.fields[i].ID, id)
		}
	}
	if got := h.Value(raw, FieldSiderealKey); string(got) != "k" {
		t.Errorf("key %q", got)
	}
}

// The work of finding the named fields must not be tokens times fields: 16 KB of head had 7,600
// tokens for 96 fields.
func TestNamedFieldsAreBounded(t *testing.T) {
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("Name-%d", i))
		}
		return strings.Join(all, " ,, ")
	}
	head := func(connection ...string) []byte {
		return []byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: close,\t" + strings.Join(connection, "\r\nConnection: ") + "\r\n\r\n")
	}
	var h Head
	raw := head(names(maxNamed-1), "keep-alive, FOO, upgrade")
	if _, err := h.ParseRequest(raw, 0); err != nil || !h.Named || !h.Close || !h.KeepAlive {
		t.Fatalf("%d names: %v, close %v", maxNamed, err, h.Close)
	}
	for i := range maxNamed - 1 {
		if !h.IsNamed(raw, fmt.Appendf(nil, "nAME-%d", i)) {
			t.Errorf("name %d is not found", i)
		}
	}
	if !h.IsNamed(raw, []byte("foo")) || h.IsNamed(raw, []byte("name-")) || h.IsNamed(raw, []byte("fo")) {
		t.Error("other names")
	}
	for name, raw := range map[string][]byte{
		"one more":                head(names(maxNamed + 1)),
		"one more in a new field": head(names(maxNamed), "foo"),
		"as many as fit":          head(strings.Repeat("a,", 7600)),
	} {
		var f *Refusal
		if _, err := h.ParseRequest(raw, 0); !errors.As(err, &f) || f.Status != 431 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.ParseRequest(head(), 0); err != nil || h.Named || h.IsNamed(raw, []byte("foo")) {
		t.Errorf("names of the head before are still there: %v", err)
	}
}

// BenchmarkNamedFields is the most that one head can ask of IsNamed: names and fields that differ
// in their last byte.
func BenchmarkNamedFields(b *testing.B) {
	long := strings.Repeat("n", 70)
	raw := []byte("GET / HTTP/1.1\r\nHost: x\r\n")
	for i := range 32 {
		raw = fmt.Appendf(raw, "Connection: %s%02d\r\n", long, i)
	}
	for i := range 64 {
		raw = fmt.Appendf(raw, "%sx%c:\r\n", long, 'A'+i%26)
	}
	raw = append(raw, "\r\n"...)
	h := new(Head)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.ParseRequest(raw, 0); err != nil {
			b.Fatal(err)
		}
		for i := range h.Fields() {
			if f := &h.Fields()[i]; f.ID == FieldOther && h.IsNamed(raw, f.Name.Of(raw)) {
				b.Fatal("named")
			}
		}
	}
}

func TestUpgradeHeads(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want bool
	}{
		"plain":       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true},
		"mixed":       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n\r\n", true},
		"empty body":  {"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", true},
		"h2c":         {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", false},
		"no token":    {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", false},
		"a body":      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n", false},
		"HTTP/1.0":    {"GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
		"POST":        {"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", false},
		"several":     {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n", true},
		"only listed": {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\n\r\n", false},
	} {
		var h Head
		if _, err := h.ParseRequest([]byte(c.raw), 0); err != nil || h.Upgrade != c.want {
			t.Errorf("%s: %v, %v", name, h.Upgrade, err)
		}
	}
}

func TestResponseHeadsRefused(t *testing.T) {
	for _, raw := range []string{
		"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "ICY 200 OK long enough\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 200 OK\nA: b\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 200 O\x00K\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
	} {
		var h Head
		if _, err := h.ParseResponse([]byte(raw), 0); err == nil || err == ErrMore {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestHeadInPieces(t *testing.T) {
	raw := []byte("GET /socket.io/?sid=x HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")
	var h Head
	for i := range raw {
		if n, err := h.ParseRequest(raw[:i], max(i-1, 0)); err != ErrMore {
			t.Fatalf("%d bytes: %d, %v", i, n, err)
		}
	}
	if n, err := h.ParseRequest(raw, len(raw)-1); err != nil || n != len(raw) {
		t.Fatal(n, err)
	}
}

// A head with a bare LF is refused as soon as it is there, wherever: it might never end.
func TestBareLFIsRefusedAtOnce(t *testing.T) {
	raw := []byte("GET / HTTP/1.1\r\nHost: x\r\nA: b\n")
	var h Head
	for i := range raw {
		if _, err := h.ParseRequest(raw[:i], max(i-1, 0)); err != ErrMore {
			t.Fatalf("%d bytes: %v", i, err)
		}
	}
	if _, err := h.ParseRequest(raw, len(raw)-1); err != ErrBareLF {
		t.Fatal(err)
	}
	if _, err := h.ParseRequest(raw, 0); err != ErrBareLF {
		t.Fatal("at once:", err)
	}
}

// FuzzHead: no panic; and what we accept, net/http understands as we do.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Head
		if n, err := h.ParseResponse(b, 0); err == nil && (n > len(b) || h.Status < 100) {
			t.Errorf("response of %d bytes, status %d", n, h.Status)
		}
		n, err := h.ParseRequest(b, 0)
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			return // stricter in something that does not matter here: escapes in the target, the method
		}
		if r.ContentLength != h.Length && !(h.Length < 0 && r.ContentLength <= 0) {
			t.Errorf("%q: length %d, net/http %d", b, h.Length, r.ContentLength)
		}
		if chunked := len(r.TransferEncoding) == 1; chunked != h.Chunked {
			t.Errorf("%q: chunked %v", b, h.Chunked)
		}
		if r.Method != string(h.Method.Of(b)) || r.RequestURI != string(h.Target.Of(b)) {
			t.Errorf("%q: %s %s", b, r.Method, r.RequestURI)
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	raw := []byte(browserHead)
	h := new(Head)
	if n := testing.AllocsPerRun(100, func() { h.ParseRequest(raw, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const browserHead = "GET /socket.io/?EIO=4&transport=polling&t=Pabcdef&sid=AAAAbbbbccccddddeeee HTTP/1.1\r\nHost: chat.example.com\r\n" +
	"Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nReferer: https://chat.example.com/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"

func BenchmarkParseHead(b *testing.B) {
	raw := []byte(browserHead)
	h := new(Head)
	b.ReportAllocs()
	for b.Loop() {
		h.ParseRequest(raw, 0)
	}
}
