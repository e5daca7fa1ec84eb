package router

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// readRequest is what was read of one, and where in the connection's bytes it ends.
type readRequest struct {
	method, target string
	body           string
	end            int
}

// requestsOf reads requests as a router does, in pieces of step bytes, until the first that is
// refused or not whole.
func requestsOf(t *testing.T, raw []byte, step int) (all []readRequest) {
	var h http1.Head
	for at := 0; at < len(raw); {
		n, err := 0, http1.ErrMore
		for seen, have := 0, 0; err == http1.ErrMore && have < len(raw)-at; seen = have {
			have = min(have+step, len(raw)-at)
			n, err = h.ParseRequest(raw[at:at+have], seen)
		}
		if err != nil {
			return all
		}
		head := raw[at : at+n]
		r := readRequest{method: string(h.Method.Of(head)), target: string(h.Target.Of(head)), end: at + n}
		switch {
		case h.Chunked:
			var c http1.Chunks
			var data []byte
			done := false
			for !done && r.end < len(raw) {
				var k int
				if data, k, done, err = c.Decode(data, raw[r.end:min(r.end+step, len(raw))]); err != nil {
					return all
				}
				r.end += k
			}
			if !done {
				return all
			}
			r.body = string(data)
		case h.Length > int64(len(raw)-r.end):
			return all
		case h.Length > 0:
			r.body = string(raw[r.end : r.end+int(h.Length)])
			r.end += int(h.Length)
		}
		if r.end <= at {
			t.Fatalf("%q: no way on", raw[at:])
		}
		all, at = append(all, r), r.end
	}
	return all
}

// counted counts the bytes that were read.
type countedBytes struct {
	r bytes.Reader
	n int
}

func (c *countedBytes) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// FuzzPipeline: of bytes with several requests, behind a PROXY header or not, a router must see the
// same requests as net/http, which ends a request where the router does; and the same in any
// pieces. It may refuse more.
func FuzzPipeline(f *testing.F) {
	for _, raw := range testkit.Smuggled() {
		f.Add([]byte(raw), uint8(7))
		f.Add([]byte(raw+raw), uint8(0))
	}
	const next = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, h := range proxyHeaders {
		f.Add([]byte(h.text+"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"+next), uint8(200))
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"+next), uint8(1))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: "+strings.Repeat("a,", 30)+"\r\n\r\n"+next), uint8(3))
	f.Fuzz(func(t *testing.T, raw []byte, size uint8) {
		if len(raw) == 0 {
			return
		}
		if _, n, err := parseProxy(raw); err == nil {
			raw = raw[n:]
		}
		ours := requestsOf(t, raw, max(len(raw), 1))
		pieces := requestsOf(t, raw, int(size)+1)
		if len(ours) != len(pieces) {
			t.Fatalf("%q: %d requests at once, %d in pieces", raw, len(ours), len(pieces))
		}
		from := &countedBytes{}
		from.r.Reset(raw)
		br := bufio.NewReader(from)
		for i, want := range ours {
			if pieces[i] != want {
				t.Fatalf("request %d: %+v at once, %+v in pieces", i, want, pieces[i])
			}
			r, err := http.ReadRequest(br)
			if err != nil {
				return // stricter in the target or the method
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatalf("request %d of %q: its body: %v", i, raw, err)
			}
			got := readRequest{r.Method, r.RequestURI, string(body), from.n - br.Buffered()}
			if got != want {
				t.Fatalf("request %d of %q: we read %+v, net/http %+v", i, raw, want, got)
			}
		}
	})
}

// FuzzHeadCost: reading and rewriting a head allocates nothing, whatever is in it, and compares a
// field with few names. So its work is linear in its bytes.
func FuzzHeadCost(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: " + strings.Repeat("a,", 7600) + "\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: a,b,c\r\nA: 1\r\nb: 2\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h := new(http1.Head)
		if n, err := h.ParseRequest(raw, 0); err != nil || n != len(raw) {
			return
		}
		for i := range h.Fields() {
			name := h.Fields()[i].Name.Of(raw)
			if h.Fields()[i].ID == http1.FieldOther && h.IsNamed(raw, name) && !connectionHas(raw, h, name) {
				t.Errorf("%q is named by nobody in %q", name, raw)
			}
		}
		allocs := testing.AllocsPerRun(1, func() {
			_, _ = h.ParseRequest(raw, 0)
			for i := range h.Fields() {
				h.IsNamed(raw, h.Fields()[i].Name.Of(raw))
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations for %q", allocs, raw)
		}
	})
}

// connectionHas is IsNamed as the RFC words it.
func connectionHas(raw []byte, h *http1.Head, name []byte) bool {
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID == http1.FieldConnection {
			for option := range strings.SplitSeq(string(f.Value.Of(raw)), ",") {
				if strings.EqualFold(strings.Trim(option, " \t"), string(name)) {
					return true
				}
			}
		}
	}
	return false
}
