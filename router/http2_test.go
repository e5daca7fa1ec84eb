package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// h2client is a client that speaks HTTP/2 only, and counts its connections.
type h2client struct {
	t testing.TB
	http.Client
	base  string
	conns atomic.Int64
}

func overH2(t testing.TB, addr string) *h2client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	c := &h2client{t: t, base: "https://" + addr}
	c.Client = http.Client{Transport: transport, Timeout: patience}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

func (c *h2client) do(ctx context.Context, method, target string, body io.Reader) (*http.Response, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{ConnectDone: func(string, string, error) { c.conns.Add(1) }})
	req, err := http.NewRequestWithContext(ctx, method, c.base+target, body)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}

// must makes a request and returns its response and body.
func (c *h2client) must(method, target string, body io.Reader) (*http.Response, string) {
	c.t.Helper()
	resp, err := c.do(context.Background(), method, target, body)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.ProtoMajor != 2 {
		c.t.Errorf("%s %s over %s", method, target, resp.Proto)
	}
	return resp, string(b)
}

// A whole session, its poll and its posts at the same time, over one connection.
func TestPollingOverHTTP2(t *testing.T) {
	h, _ := one(t, 2, secured(t))
	c := overH2(t, h.addr)
	_, open := c.must("GET", handshakeTarget, nil)
	if !strings.HasPrefix(open, `0{"sid":"`) {
		t.Fatal(open)
	}
	sid := open[9:29]
	worker := h.workers[sid[:4]]
	target := handshakeTarget + "&sid=" + sid
	polled := make(chan string)
	go func() {
		_, b := c.must("GET", target, nil)
		polled <- b
	}()
	receive(t, worker.polling)
	if _, b := c.must("POST", target, strings.NewReader("4hello")); b != "ok" {
		t.Error(b)
	}
	if got, want := receive(t, polled), worker.id+" got 6"; got != want {
		t.Errorf("the poll got %q, want %q", got, want)
	}
	if n := c.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	last := worker.last().Header
	if last.Get("Sidereal-Proto") != "https" || !strings.HasPrefix(last.Get("Sidereal-Client"), "127.0.0.1:") || last.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Error(last)
	}
	if n := h.Connections(); n != 1 {
		t.Errorf("the router holds %d connections", n)
	}
}

func TestFieldsOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	c := overH2(t, h.addr)
	req, _ := http.NewRequest("GET", c.base+"/app?x=1", nil)
	req.Host = "chat.example"
	for name, value := range map[string]string{
		"Sidereal-Key": "guess", "Sidereal-Client": "192.0.2.7:1", "X-Forwarded-For": "192.0.2.7", "Expect": "x", "X-Own": "mine", "Cookie": "a=1; b=2",
	} {
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	r := h.workers["wka0"].last()
	if r.Host != "chat.example" || r.RequestURI != "/app?x=1" || r.Header.Get("X-Own") != "mine" || r.Header.Get("Cookie") != "a=1; b=2" {
		t.Error(r.Host, r.RequestURI, r.Header)
	}
	if got := r.Header.Get("Sidereal-Client") + r.Header.Get("X-Forwarded-For") + r.Header.Get("Sidereal-Key"); strings.Contains(got, "192.0.2.7") || strings.Contains(got, "guess") {
		t.Error("forged:", r.Header)
	}
}

func TestBodiesOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/empty":
			rw.WriteHeader(204)
			return
		case "/length":
			rw.Header().Set("Content-Length", "300000")
			fmt.Fprintf(rw, "%300000d", 1)
			return
		}
		rw.Header().Add("X-Two", "1")
		rw.Header().Add("X-Two", "2")
		b, _ := io.ReadAll(r.Body) // a router reads no response before it has sent the body
		for ; len(b) > 0; b = b[min(len(b), 10_000):] {
			rw.Write(b[:min(len(b), 10_000)])
		}
	})
	c := overH2(t, h.addr)
	big := strings.Repeat("0123456789abcdef", 1<<16)
	for name, body := range map[string]io.Reader{"known": strings.NewReader(big), "unknown": io.MultiReader(strings.NewReader(big))} {
		if resp, b := c.must("POST", "/echo", body); b != big || len(resp.Header["X-Two"]) != 2 {
			t.Errorf("%s length: %d bytes, %v", name, len(b), resp.Header)
		}
	}
	if resp, b := c.must("GET", "/length", nil); len(b) != 300000 || resp.ContentLength != 300000 {
		t.Error(len(b), resp.ContentLength)
	}
	if resp, b := c.must("HEAD", "/length", nil); b != "" || resp.ContentLength != 300000 {
		t.Error(b, resp.ContentLength)
	}
	if resp, b := c.must("GET", "/empty", nil); b != "" || resp.StatusCode != 204 {
		t.Error(b, resp.Status)
	}
	if resp, b := c.must("PATCH", "/echo", nil); b != "" || resp.StatusCode != 200 {
		t.Error(b, resp.Status)
	}
}

// Pieces of a response arrive as the app sends them.
func TestStreamedResponseOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	more := make(chan string)
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		for s := range more {
			io.WriteString(rw, s)
			rw.(http.Flusher).Flush()
		}
	})
	resp, err := overH2(t, h.addr).do(context.Background(), "GET", "/events", nil2(more))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 5)
	for _, want := range []string{"first", "again"} {
		if want != "first" {
			more <- want
		}
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
			t.Fatalf("%q, %v", b, err)
		}
	}
	close(more)
	if n, err := resp.Body.Read(b); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
}

// nil2 sends the first piece once the request is under way, and is no body.
func nil2(more chan string) io.Reader {
	go func() { more <- "first" }()
	return nil
}

func TestPollThatItsClientLeftOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	c, worker := overH2(t, h.addr), h.workers["wka0"]
	sid := worker.open()
	ctx, leave := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := c.do(ctx, "GET", handshakeTarget+"&sid="+sid, nil)
		ended <- err
	}()
	receive(t, worker.polling)
	leave()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	if got := receive(t, worker.polled); got != sid {
		t.Errorf("the worker missed %q", got)
	}
}

// A response that breaks off is not taken for a whole one.
func TestBrokenResponseOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "half")
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := overH2(t, h.addr).do(context.Background(), "GET", "/app", nil)
	if err != nil {
		return // reset before the head was read: as good
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%q is all", b)
	}
}

func TestRefusalsOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	c := overH2(t, h.addr)
	if resp, _ := c.must("TRACE", "/", nil); resp.StatusCode != 405 {
		t.Error(resp.Status)
	}
	if resp, b := c.must("GET", handshakeTarget+"&sid=unknown", nil); resp.StatusCode != 400 || !strings.Contains(b, `"code":1`) {
		t.Error(resp.Status, b)
	}
	if resp, _ := c.must("GET", "/app", nil); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if n := c.conns.Load(); n != 1 {
		t.Errorf("%d connections: refusals cost one each", n)
	}
}

// WebSockets are not offered over HTTP/2: SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441) is not among
// the server's settings, so clients open them over HTTP/1.1.
func TestNoWebSocketsOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	var frame [9]byte
	if _, err := io.ReadFull(c, frame[:]); err != nil || frame[3] != 4 {
		t.Fatal(frame, err)
	}
	settings := make([]byte, int(frame[0])<<16|int(frame[1])<<8|int(frame[2]))
	if _, err := io.ReadFull(c, settings); err != nil {
		t.Fatal(err)
	}
	for ; len(settings) > 0; settings = settings[6:] {
		if id, value := binary.BigEndian.Uint16(settings), binary.BigEndian.Uint32(settings[2:]); id == 8 && value != 0 {
			t.Error("CONNECT with a protocol is offered")
		}
	}
	ws := secureTo(t, h.addr, "x")
	if resp := ws.upgrade(""); resp.StatusCode != 101 {
		t.Error(resp.Status)
	}
	ws.echoes("hello")
}

func TestDrainOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.ShutdownTimeout = time.Hour
	})
	c, worker := overH2(t, h.addr), h.workers["wka0"]
	sid := worker.open()
	target := handshakeTarget + "&sid=" + sid
	polled := make(chan string)
	go func() {
		_, b := c.must("GET", target, nil)
		polled <- b
	}()
	receive(t, worker.polling)
	h.stop()
	testkit.Until(t, "the router drains", h.draining.Load)
	worker.mu.Lock()
	answer := worker.sessions[sid]
	worker.mu.Unlock()
	answer <- "bye"
	if got := receive(t, polled); got != "bye" {
		t.Error(got)
	}
	if err := <-h.done; err != nil { // and not after an hour
		t.Error(err)
	}
}

func TestCutOverHTTP2(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.ShutdownTimeout = time.Millisecond
	})
	worker := h.workers["wka0"]
	hold := make(chan string, 1)
	worker.answers(func(rw http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // so that the server watches its client
		hold <- ""
		<-r.Context().Done()
	})
	ended := make(chan error)
	go func() {
		_, err := overH2(t, h.addr).do(context.Background(), "POST", "/slow", strings.NewReader("x"))
		ended <- err
	}()
	receive(t, hold)
	h.stop()
	if err := <-ended; err == nil {
		t.Error("a cut request was answered")
	}
	<-h.done
}

// The same bytes in any pieces are the same response.
func TestResponseInPiecesOverHTTP2(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello":                "200 hello true",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n": "200 hello true",
		"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nhello":                                                          "200 hello true",
		"HTTP/1.1 400 Bad\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n":                                         "400  true",
		"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 6\r\n\r\nhello":                                     "200 hello false",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n\r\n2\r\nhe\r\n":                      "200 he false",
		"HTTP/1.1 304 Not Modified\r\nX-A: 1\r\nContent-Length: 5\r\n\r\n":                                "304  true",
	} {
		for _, size := range []int{1, 3, 10, 1000} {
			w := httptest.NewRecorder()
			s := beginRequest(w, httptest.NewRequest("GET", "/", nil))
			s.c = new(conn)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if _, err := s.Write([]byte(rest[:n])); err != nil {
					break
				}
				rest = rest[n:]
			}
			got := fmt.Sprintf("%d %s %v", w.Code, w.Body, s.whole())
			if got != want || w.Header().Get("X-A") != "1" || w.Header().Get("Connection") != "" {
				t.Errorf("%q in pieces of %d: %s, %v", text, size, got, w.Header())
			}
		}
	}
}

// composed is the request as the next parser reads it, or false.
func composed(req *http.Request) (h http1.Head, text []byte, ok bool) {
	s := beginRequest(httptest.NewRecorder(), req)
	if !s.compose() {
		return h, nil, false
	}
	n, err := h.ParseRequest(s.text, 0)
	return h, bytes.Clone(s.text), err == nil && n == len(s.text)
}

func h2request(method, target, host, name, value string) *http.Request {
	return &http.Request{Method: method, RequestURI: target, Host: host, Header: http.Header{name: {value}}, URL: new(url.URL)}
}

// The router refuses text that HTTP/2 carries and HTTP/1.1 can't, wherever it stands.
func TestInjectionOverHTTP2(t *testing.T) {
	if _, text, ok := composed(h2request("GET", "/", "x", "X-A", "b")); !ok || string(text) != "GET / HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n" {
		t.Fatalf("%q", text)
	}
	for _, evil := range []string{"\r\nX-Evil: 1", "\nX-Evil: 1", "\r", "\x00", " HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /"} {
		for name, req := range map[string]*http.Request{
			"method": h2request("GET"+evil, "/", "x", "X-A", "b"), "target": h2request("GET", "/"+evil, "x", "X-A", "b"),
			"host": h2request("GET", "/", "x"+evil, "X-A", "b"), "name": h2request("GET", "/", "x", "X-A"+evil, "b"),
			"value": h2request("GET", "/", "x", "X-A", "b"+evil),
		} {
			if _, text, ok := composed(req); ok {
				t.Errorf("%q in the %s makes %q", evil, name, text)
			}
		}
	}
}

func FuzzInjectionOverHTTP2(f *testing.F) {
	f.Add("GET", "/", "x", "X-A", "b")
	f.Add("POST", "*", "[::1]:1", "Content-Length", "5")
	f.Fuzz(func(t *testing.T, method, target, host, name, value string) {
		h, text, ok := composed(h2request(method, target, host, name, value))
		if text == nil {
			return
		}
		switch {
		case !ok:
			t.Fatalf("%q is not one head", text)
		case string(h.Method.Of(text)) != method || string(h.Target.Of(text)) != target || string(h.Value(text, http1.FieldHost)) != host:
			t.Fatalf("%q says something else", text)
		case len(h.Fields()) > 3 || h.Chunked || h.Length > 0 || h.Upgrade:
			t.Fatalf("%q says more", text)
		}
	})
}

// BenchmarkPollOfHTTPClient is one poll of net/http's client over TLS, by either version.
func BenchmarkPollOfHTTPClient(b *testing.B) {
	for _, version := range []string{"http1", "http2"} {
		b.Run(version, func(b *testing.B) {
			d := directory.NewStatic()
			host := cluster(b, d, secured(b), 0)[0]
			benchWorker(b, host.dir, "wka0")
			d.Set(directory.Worker{ID: "wka0", Host: "a", Tags: true})
			c := overH2(b, host.addr)
			if version == "http1" {
				c.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			}
			defer c.CloseIdleConnections()
			req, _ := http.NewRequest("GET", c.base+handshakeTarget+"&sid="+directory.MintSID("wka0"), nil)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}

// No client writes log lines at will: what net/http says about its connections is counted, and
// logged now and then.
func TestBadPrefacesDontFillTheLog(t *testing.T) {
	out := new(testkit.Output)
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.Log = slog.New(loghandler.New(out, slog.LevelDebug))
	})
	const bad = 40
	for range bad {
		c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, strings.Repeat("no preface ", 10))
		io.Copy(io.Discard, c)
		c.Close()
	}
	testkit.Until(t, "all are counted", func() bool { return counter(t, h.metrics.h2Errors) == bad })
	if n := strings.Count(out.String(), `"level":"warn"`); n == 0 || n > 10 {
		t.Errorf("%d connections wrote %d lines: %s", bad, n, out)
	}
}

// TestHTTP2CanBeDeleted builds the router without http2.go and without the line that uses it.
func TestHTTP2CanBeDeleted(t *testing.T) {
	source, err := os.ReadFile("router.go")
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(source), "r.mux = newHTTP2(r)", "", 1)
	if without == string(source) {
		t.Fatal("router.go has no line for HTTP/2")
	}
	testkit.BuildWith(t, map[string]string{"router.go": without, "http2.go": ""})
}
