package router

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestSessionByPolling(t *testing.T) {
	h, _ := one(t, 2, nil)
	c := dialTo(t, h.addr)
	sid := c.handshake()
	q := "/socket.io/?EIO=4&transport=polling&sid=" + sid
	c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", q)
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "ok" {
		t.Fatal(resp.Status, body)
	}
	if resp, body := c.get(q); resp.StatusCode != 200 || body != sid[:4]+" got 5" {
		t.Fatal(resp.Status, body)
	}
}

func TestKeepAliveConnectionSharedBySidsOfSeveralWorkers(t *testing.T) {
	h, _ := one(t, 4, func(cfg *Config) { cfg.Balance = "round-robin" })
	c := dialTo(t, h.addr)
	var sids []string
	owners := map[string]bool{}
	for range 12 {
		sids = append(sids, c.handshake())
		owners[sids[len(sids)-1][:4]] = true
	}
	if len(owners) != 4 {
		t.Errorf("round-robin gave sessions to %d of 4 workers", len(owners))
	}
	for range 3 { // pipelined: all requests before the first answer
		for i, sid := range sids {
			c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", sid, i, strings.Repeat("x", i))
			c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
		}
		for i, sid := range sids {
			if _, body := c.answer("POST"); body != "ok" {
				t.Fatal(body)
			}
			if _, body := c.answer("GET"); body != fmt.Sprintf("%s got %d", sid[:4], i) {
				t.Fatalf("sid %s answered %q", sid, body)
			}
		}
	}
}

// Requests are the same in whichever pieces they arrive.
func TestHeadsAndBodiesSplitAtEveryByte(t *testing.T) {
	h, _ := one(t, 1, nil)
	sid := h.workers["wka0"].open()
	q := "/socket.io/?transport=polling&sid=" + sid
	raw := "\r\nPOST " + q + " HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" +
		"POST " + q + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n" +
		"GET " + q + " HTTP/1.1\r\nHost: x\r\n\r\n"
	want := []string{"ok", "ok", "wka0 got 5", "wka0 got 7"}
	for split := 1; split < len(raw); split++ {
		c := dialTo(t, h.addr)
		c.SetNoDelay(true)
		c.send("%s", raw[:split])
		c.send("%s", raw[split:])
		c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", q)
		for i, m := range []string{"POST", "POST", "GET", "GET"} {
			if resp, body := c.answer(m); body != want[i] {
				t.Fatalf("split at %d, answer %d: %s %q", split, i, resp.Status, body)
			}
		}
		c.Close()
	}
	c := dialTo(t, h.addr) // and all splits at once
	for i := range len(raw) {
		c.send("%s", raw[i:i+1])
	}
	for i, m := range []string{"POST", "POST", "GET"} {
		if resp, body := c.answer(m); body != want[i] {
			t.Fatalf("byte by byte, answer %d: %s %q", i, resp.Status, body)
		}
	}
}

func TestBodiesOfAllSizes(t *testing.T) {
	h, _ := one(t, 1, nil)
	w := h.workers["wka0"]
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if r.URL.Query().Has("chunked") {
			rw.(http.Flusher).Flush()
		}
		rw.Write(b)
	})
	c := dialTo(t, h.addr)
	for _, n := range []int{0, 1, 4095, 4096, 4097, 65535, 65536, 65537, 1 << 20} {
		body := strings.Repeat("0123456789abcdef", n/16+1)[:n]
		for _, target := range []string{"/", "/?chunked"} {
			go c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", target, n, body)
			if resp, got := c.answer("POST"); got != body {
				t.Fatalf("%d bytes to %s: %s, %d bytes", n, target, resp.Status, len(got))
			}
			go c.send("POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", target, max(n, 1), body+strings.Repeat("x", max(1-n, 0)))
			if resp, got := c.answer("POST"); len(got) != max(n, 1) {
				t.Fatalf("%d bytes chunked to %s: %s, %d bytes", n, target, resp.Status, len(got))
			}
		}
	}
}

func TestExpectContinue(t *testing.T) {
	h, _ := one(t, 1, nil)
	c := dialTo(t, h.addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n")
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil || resp.StatusCode != 100 {
		t.Fatal(resp, err)
	}
	c.send("hello")
	if _, body := c.answer("POST"); body != "wka0 POST / 5" {
		t.Error(body)
	}
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello") // did not wait
	if resp, body := c.answer("POST"); body != "wka0 POST / 5" {
		t.Error(resp.Status, body)
	}
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: miracles\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != 417 {
		t.Error(resp.Status)
	}
	c.ended()
}

func TestResponsesWithoutBody(t *testing.T) {
	h, _ := one(t, 1, nil)
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			rw.WriteHeader(204)
		case "/304":
			rw.Header().Set("Etag", `"x"`)
			rw.WriteHeader(304)
		default:
			rw.Header().Set("Content-Length", "1000")
			if r.Method != "HEAD" {
				rw.Write(make([]byte, 1000))
			}
		}
	})
	c := dialTo(t, h.addr)
	for range 2 {
		if resp, _ := c.get("/204"); resp.StatusCode != 204 {
			t.Error(resp.Status)
		}
		if resp, _ := c.get("/304"); resp.StatusCode != 304 || resp.Header.Get("Etag") != `"x"` {
			t.Error(resp.Status)
		}
		c.send("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, body := c.answer("HEAD"); resp.ContentLength != 1000 || body != "" {
			t.Error(resp.Status, resp.ContentLength)
		}
		if _, body := c.get("/x"); len(body) != 1000 {
			t.Error(len(body))
		}
	}
}

func TestHTTP10(t *testing.T) {
	h, _ := one(t, 1, nil)
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			rw.(http.Flusher).Flush()
		}
		io.WriteString(rw, "host "+r.Host)
	})
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if resp, body := c.answer("GET"); body != "host " || resp.Header.Get("Connection") != "keep-alive" {
		t.Error(resp.Status, body, resp.Header)
	}
	c.send("GET /chunked HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
	if resp, body := c.answer("GET"); body != "host x" || len(resp.TransferEncoding) > 0 || !resp.Close {
		t.Error(resp.Status, body, resp.TransferEncoding)
	}
	c.ended()
	c = dialTo(t, h.addr)
	c.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
	if resp, body := c.answer("GET"); body != "host x" {
		t.Error(resp.Status, body)
	}
	c.ended()
}

// A target in absolute form names the host, whatever Host says, and servers look for the path at
// the start of theirs.
func TestAbsoluteTargets(t *testing.T) {
	h, _ := one(t, 4, func(cfg *Config) { cfg.Balance = "round-robin" })
	c := dialTo(t, h.addr)
	var sids []string
	for range 8 {
		sids = append(sids, c.handshake())
	}
	for _, sid := range sids {
		c.send("POST http://a.example:81/socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: ignored\r\nContent-Length: 1\r\n\r\n6", sid)
		if resp, body := c.answer("POST"); body != "ok" {
			t.Fatal(resp.Status, body)
		}
		if r := h.workers[sid[:4]].last(); r.Host != "a.example:81" || r.Header.Get("X-Forwarded-Host") != "a.example:81" || r.RequestURI != "/socket.io/?transport=polling&sid="+sid {
			t.Errorf("the worker reads %s %s %v", r.Host, r.RequestURI, r.Header)
		}
	}
	c.send("GET HTTP://x/socket.io/?transport=websocket HTTP/1.1\r\n%s\r\n", upgradeFields)
	if resp, _ := c.answer("GET"); resp.StatusCode != 101 {
		t.Error(resp.Status)
	}
	for target, want := range map[string]string{"http://x": "/", "http://x?a=/": "/?a=/", "https://[::1]:8/b": "/b"} {
		if _, body := dialTo(t, h.addr).get(target); !strings.Contains(body, " GET "+want+" ") {
			t.Errorf("%s: %s", target, body)
		}
	}
	for _, target := range []string{"http://", "http:///a", "http://user@x/", "ftp://x/", "http:x"} {
		if resp, _ := dialTo(t, h.addr).get(target); resp.StatusCode != 400 {
			t.Errorf("%s: %s", target, resp.Status)
		}
	}
}

func TestConnectionClose(t *testing.T) {
	h, _ := one(t, 1, nil)
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n")
	if resp, _ := c.answer("GET"); !resp.Close {
		t.Error("not told")
	}
	c.ended()
}

func TestUnknownSidsGetTheProtocolsAnswer(t *testing.T) {
	h, _ := one(t, 2, nil)
	c := dialTo(t, h.addr)
	for _, sid := range []string{"x", strings.Repeat("y", 20), strings.Repeat("z", 1000), "wka0" + strings.Repeat("q", 16)} {
		resp, body := c.get("/socket.io/?transport=polling&sid=" + sid)
		if resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) {
			t.Errorf("sid %q: %s %q", sid, resp.Status, body)
		}
	}
}

func TestNoReadyWorker(t *testing.T) {
	h, d := one(t, 1, nil)
	if ok, _ := h.Ready(); !ok {
		testkit.Until(t, "ready", func() bool { ok, _ := h.Ready(); return ok })
	}
	d.Set()
	if ok, why := h.Ready(); ok || why != "no worker is ready" {
		t.Error(ok, why)
	}
	for _, target := range []string{"/", "/socket.io/?transport=polling", "/socket.io/?transport=polling&sid=x"} {
		c := dialTo(t, h.addr)
		if resp, _ := c.get(target); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
			t.Error(target, resp.Status)
		}
		c.ended()
	}
}

func TestDrainingWorkersKeepTheirSessionsAndGetNoNewOnes(t *testing.T) {
	h, d := one(t, 2, nil)
	c := dialTo(t, h.addr)
	old := h.workers["wka0"].open()
	workers := d.Workers().All()
	d.Set(directory.Worker{ID: "wka0", Host: "a", Addr: h.addr, Tags: true, State: directory.StateDraining}, *workers[1])
	for range 10 {
		if sid := c.handshake(); sid[:4] != "wka1" {
			t.Fatalf("a draining worker got %s", sid)
		}
	}
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", old)
	if resp, body := c.answer("POST"); body != "ok" {
		t.Error(resp.Status, body)
	}
}

func TestHandshakeIsLearnedWhateverItsForm(t *testing.T) {
	d := directory.NewStatic()
	h := cluster(t, d, nil, 1)[0]
	w := h.workers["wka0"]
	for i, form := range []func(open string) string{
		func(open string) string { return open },
		func(open string) string { return fmt.Sprintf("%d:%s", len(open), open) },
		func(open string) string {
			return fmt.Sprintf("___eio[0](%q);", fmt.Sprintf("%d:%s", len(open), open))
		},
		func(open string) string { return fmt.Sprintf("\x00%c%c\xff%s", len(open)/10, len(open)%10, open) },
	} {
		for _, chunked := range []bool{false, true} {
			sid := fmt.Sprintf("untagged-%d-%v-------", i, chunked)[:20]
			body := form(fmt.Sprintf(`0{"sid":"%s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`, sid))
			w.becomes(func(rw http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept-Encoding") != "" {
					t.Error("the worker may compress the handshake")
				}
				if chunked {
					for _, b := range []byte(body) {
						rw.Write([]byte{b})
						rw.(http.Flusher).Flush()
					}
					return
				}
				io.WriteString(rw, body)
			})
			c := dialTo(t, h.addr)
			c.send("GET /socket.io/?EIO=3&transport=polling&j=0 HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n")
			if _, got := c.answer("GET"); got != body {
				t.Fatalf("got %q, want %q", got, body)
			}
			if o := d.Owner(t.Context(), sid); o.WorkerID != "wka0" || o.Decision != directory.DecisionCache {
				t.Errorf("%s: %+v", body, o)
			}
		}
	}
}

// Sessions that did not come to be don't count against a worker.
func TestFailedHandshakesAreNotCounted(t *testing.T) {
	h, d := one(t, 1, nil)
	c := dialTo(t, h.addr)
	w := d.Workers().Get("wka0")
	c.handshake()
	if n := h.Router.workers.of(w).load(w, 1).clients; n != 1 {
		t.Errorf("%d after one", n)
	}
	h.workers["wka0"].becomes(func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(403) })
	c.get("/socket.io/?EIO=4&transport=polling")
	if n := h.Router.workers.of(w).load(w, 1).clients; n != 1 {
		t.Errorf("%d after a refused one", n)
	}
	next := *w
	next.Beat, next.Clients = w.Beat+1, 1
	if n := h.Router.workers.of(w).load(&next, 1).clients; n != 1 {
		t.Errorf("%d after the beat that counts it", n)
	}
}

func TestPollIsGivenUpWhenItsClientLeaves(t *testing.T) {
	h, _ := one(t, 1, nil)
	w := h.workers["wka0"]
	for name, leave := range map[string]func(*testClient){
		"closes":      func(c *testClient) { c.Close() },
		"half-closes": func(c *testClient) { c.CloseWrite() },
		"resets":      func(c *testClient) { c.SetLinger(0); c.Close() },
	} {
		c := dialTo(t, h.addr)
		sid := w.open()
		c.get("/") // not the connection's first request
		c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
		receive(t, w.polling)
		leave(c)
		if got := receive(t, w.polled); got != sid {
			t.Errorf("%s: %s", name, got)
		}
	}
	testkit.Until(t, "no connection is left", func() bool { return h.Connections() == 0 })
}

// A client that has asked for something and says no more may still be waiting for it.
func TestHalfClosedClientGetsItsPage(t *testing.T) {
	h, _ := one(t, 1, nil)
	release := make(chan struct{})
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		<-release
		io.WriteString(rw, "page")
	})
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.CloseWrite()
	close(release)
	if _, body := c.answer("GET"); body != "page" {
		t.Error(body)
	}
}

func TestSlowHeadsEnd(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.HeadTimeout = 30 * time.Millisecond })
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\nA")
	if resp, _ := c.answer("GET"); resp.StatusCode != 408 {
		t.Error(resp.Status)
	}
	c.ended()
}

func TestSlowBodiesEnd(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.BodyTimeout = 30 * time.Millisecond })
	c := dialTo(t, h.addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	if resp, _ := c.answer("POST"); resp.StatusCode != 408 {
		t.Error(resp.Status)
	}
	c.ended()
}

func TestIdleConnectionsEnd(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.IdleTimeout = 300 * time.Millisecond })
	c := dialTo(t, h.addr)
	c.get("/")
	c.ended()
}

func TestHeadLimit(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxHeadBytes = 20_000 })
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n", strings.Repeat("a", 19_900))
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	c.send("GET / HTTP/1.1\r\nHost: x\r\nA: %s\r\n\r\n", strings.Repeat("a", 20_000))
	if resp, _ := c.answer("GET"); resp.StatusCode != 431 {
		t.Error(resp.Status)
	}
	c.ended()
}

// A refused request doesn't reach a worker, and nothing after it is a request.
func TestAmbiguousRequestsEndTheConnection(t *testing.T) {
	h, _ := one(t, 1, nil)
	for _, raw := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", "CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET x HTTP/1.1\r\nHost: x\r\n\r\n", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := dialTo(t, h.addr)
		c.send("%sGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", raw)
		if resp, _ := c.answer("GET"); resp.StatusCode < 400 {
			t.Errorf("%q: %s", raw, resp.Status)
		}
		c.ended()
	}
	h.workers["wka0"].mu.Lock()
	defer h.workers["wka0"].mu.Unlock()
	for _, r := range h.workers["wka0"].requests {
		if r.RequestURI == "/smuggled" {
			t.Error("smuggled")
		}
	}
}

func TestHopByHopFieldsStay(t *testing.T) {
	h, _ := one(t, 1, nil)
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, X-Mine\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n" +
		"X-Mine: a\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: b\r\nTE: trailers\r\nTrailer: T\r\nX-Kept: c\r\n\r\n")
	c.answer("GET")
	r := h.workers["wka0"].last()
	for _, name := range []string{"Connection", "Upgrade", "Http2-Settings", "X-Mine", "Keep-Alive", "Proxy-Authorization", "Te", "Trailer"} {
		if v, ok := r.Header[name]; ok {
			t.Errorf("%s: %q", name, v)
		}
	}
	if r.Header.Get("X-Kept") != "c" {
		t.Error("an end-to-end field is lost")
	}
}
