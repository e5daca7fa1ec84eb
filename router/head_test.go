package router

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

const hostLine = "Host: x\r\n"

// refusedHeads are requests that two parsers could read differently, and what else is no good HTTP.
var refusedHeads = map[string]struct {
	raw    string
	status int
}{
	"CL.TE":                        {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"TE.CL":                        {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n", 400},
	"TE.TE":                        {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400},
	"TE twice":                     {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	"TE list":                      {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
	"TE with a tab":                {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding\t: chunked\r\n\r\n", 400},
	"TE with a space before colon": {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding : chunked\r\n\r\n", 400},
	"TE with a vertical tab":       {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding: \vchunked\r\n\r\n", 400},
	"TE in HTTP/1.0":               {"POST / HTTP/1.0\r\n" + hostLine + "Transfer-Encoding: chunked\r\n\r\n", 400},
	"TE folded":                    {"POST / HTTP/1.1\r\n" + hostLine + "Transfer-Encoding:\r\n chunked\r\n\r\n", 400},
	"CL twice":                     {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nContent-Length: 7\r\n\r\n", 400},
	"CL twice, equal":              {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6\r\nContent-Length: 6\r\n\r\n", 400},
	"CL list":                      {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 6, 6\r\n\r\n", 400},
	"CL signed":                    {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: +6\r\n\r\n", 400},
	"CL negative":                  {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: -6\r\n\r\n", 400},
	"CL hex":                       {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 0x6\r\n\r\n", 400},
	"CL empty":                     {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length:\r\n\r\n", 400},
	"CL huge":                      {"POST / HTTP/1.1\r\n" + hostLine + "Content-Length: 99999999999999999999\r\n\r\n", 400},
	"bare LF":                      {"GET / HTTP/1.1\n" + hostLine + "\r\n", 400},
	"bare LF in a field":           {"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400},
	"bare LF at the end":           {"GET / HTTP/1.1\r\nHost: x\n\nGET /\r\n\r\n", 400},
	"bare CR":                      {"GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400},
	"obs-fold":                     {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
	"field begins with a space":    {"GET / HTTP/1.1\r\n A: b\r\nHost: x\r\n\r\n", 400},
	"no colon":                     {"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400},
	"empty name":                   {"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
	"NUL in a value":               {"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400},
	"no Host":                      {"GET / HTTP/1.1\r\n\r\n", 400},
	"Host twice":                   {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
	"Host twice in HTTP/1.0":       {"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400},
	"Host with a path":             {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
	"Host with a user":             {"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400},
	"two spaces":                   {"GET  / HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"tab in the request line":      {"GET\t/ HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"no target":                    {"GET HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"fragment":                     {"GET /a#b HTTP/1.1\r\n" + hostLine + "\r\n", 400},
	"HTTP/2 preface":               {"PRI * HTTP/2.0\r\n\r\n", 505},
	"HTTP/1.2":                     {"GET / HTTP/1.2\r\n" + hostLine + "\r\n", 505},
	"HTTP/0.9":                     {"GET / \r\n" + hostLine + "\r\n", 505},
	"lower case":                   {"GET / http/1.1\r\n" + hostLine + "\r\n", 505},
	"trailing space":               {"GET / HTTP/1.1 \r\n" + hostLine + "\r\n", 505},
	"too many fields":              {"GET / HTTP/1.1\r\n" + hostLine + strings.Repeat("A: b\r\n", maxFields) + "\r\n", 431},
	"too large":                    {"GET / HTTP/1.1\r\n" + hostLine + "A: " + strings.Repeat("b", maxHead) + "\r\n\r\n", 431},
}

func TestRequestHeadsRefused(t *testing.T) {
	for name, c := range refusedHeads {
		t.Run(name, func(t *testing.T) {
			var h head
			_, err := h.parseRequest([]byte(c.raw), 0)
			f, ok := err.(*refusal)
			if !ok || f.status != c.status {
				t.Errorf("got %v, want %d", err, c.status)
			}
		})
	}
}

func TestRequestHeadRead(t *testing.T) {
	raw := []byte("POST /a?b HTTP/1.1\r\nhOST: x:80\r\nContent-length:  12 \r\nConnection: keep-alive , Foo\r\nConnection: close\r\n" +
		"X-Empty:\r\nFoo: 1\r\nSidereal-Key: k\r\nSidereal-Other: o\r\nX-Forwarded-Port: 1\r\nExpect: 100-continue\r\n\r\nbody")
	var h head
	n, err := h.parseRequest(raw, 0)
	if err != nil || n != len(raw)-4 {
		t.Fatal(n, err)
	}
	if string(h.method.of(raw)) != "POST" || string(h.target.of(raw)) != "/a?b" || h.minor != 1 || h.length != 12 {
		t.Errorf("%+v", h.method)
	}
	if !h.close || !h.keepAlive || !h.named || !h.expect || h.chunked || h.upgrade {
		t.Errorf("close %v, keepAlive %v, named %v, expect %v", h.close, h.keepAlive, h.named, h.expect)
	}
	if !h.isNamed(raw, []byte("foo")) || h.isNamed(raw, []byte("bar")) {
		t.Error("Connection's names")
	}
	want := []fieldID{fieldHost, fieldContentLength, fieldConnection, fieldConnection, fieldOther, fieldOther, fieldSiderealKey, fieldSidereal, fieldForwarded, fieldExpect}
	for i, id := range want {
		if h.fields[i].id != id {
			t.Errorf("field %q is %d, want %d", h.fields[i].name.of(raw), h.fields[i].id, id)
		}
	}
	if got := h.value(raw, fieldSiderealKey); string(got) != "k" {
		t.Errorf("key %q", got)
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
		var h head
		if _, err := h.parseRequest([]byte(c.raw), 0); err != nil || h.upgrade != c.want {
			t.Errorf("%s: %v, %v", name, h.upgrade, err)
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
		var h head
		if _, err := h.parseResponse([]byte(raw), 0); err == nil || err == errMore {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestHeadInPieces(t *testing.T) {
	raw := []byte("GET /socket.io/?sid=x HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n")
	var h head
	for i := range raw {
		if n, err := h.parseRequest(raw[:i], max(i-1, 0)); err != errMore {
			t.Fatalf("%d bytes: %d, %v", i, n, err)
		}
	}
	if n, err := h.parseRequest(raw, len(raw)-1); err != nil || n != len(raw) {
		t.Fatal(n, err)
	}
}

// FuzzHead: no panic; and what we accept, net/http understands as we do.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h head
		if n, err := h.parseResponse(b, 0); err == nil && (n > len(b) || h.status < 100) {
			t.Errorf("response of %d bytes, status %d", n, h.status)
		}
		n, err := h.parseRequest(b, 0)
		if err != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:n])))
		if err != nil {
			return // stricter in something that does not matter here: escapes in the target, the method
		}
		if r.ContentLength != h.length && !(h.length < 0 && r.ContentLength <= 0) {
			t.Errorf("%q: length %d, net/http %d", b, h.length, r.ContentLength)
		}
		if chunked := len(r.TransferEncoding) == 1; chunked != h.chunked {
			t.Errorf("%q: chunked %v", b, h.chunked)
		}
		if r.Method != string(h.method.of(b)) || r.RequestURI != string(h.target.of(b)) {
			t.Errorf("%q: %s %s", b, r.Method, r.RequestURI)
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	raw := []byte(browserHead)
	h := new(head)
	if n := testing.AllocsPerRun(100, func() { h.parseRequest(raw, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const browserHead = "GET /socket.io/?EIO=4&transport=polling&t=Pabcdef&sid=AAAAbbbbccccddddeeee HTTP/1.1\r\nHost: chat.example.com\r\n" +
	"Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nReferer: https://chat.example.com/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"

func BenchmarkParseHead(b *testing.B) {
	raw := []byte(browserHead)
	h := new(head)
	b.ReportAllocs()
	for b.Loop() {
		h.parseRequest(raw, 0)
	}
}
