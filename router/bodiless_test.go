package router

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// bodiless reads an answer to a HEAD request to the connection's end: a head that tells of a body,
// and nothing behind it.
func (c *testClient) bodiless(name string, status int) {
	c.t.Helper()
	raw, err := io.ReadAll(c.br)
	if err != nil {
		c.t.Errorf("%s: %v", name, err)
	}
	head, rest, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 "+strconv.Itoa(status))) || len(rest) > 0 {
		c.t.Errorf("%s: want %d without a body, got %q", name, status, raw)
	}
	if !bytes.Contains(head, []byte("Content-Length: ")) {
		c.t.Errorf("%s: no Content-Length in %q", name, head)
	}
}

// TestHEADTurnedAwayHasNoBody: on a connection that goes on, a body would be read as the beginning
// of the next answer.
func TestHEADTurnedAwayHasNoBody(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.RequestsInFlight = 1 })
	worker := h.workers["wka0"]
	poll := dialTo(t, h.addr)
	poll.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", worker.open())
	receive(t, worker.polling)
	c := dialTo(t, h.addr)
	for range 2 {
		c.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, method := range []string{"HEAD", "GET"} {
			resp, body := c.answer(method)
			if resp.StatusCode != 503 || resp.ContentLength != int64(len(awayBody)) || (body == awayBody) != (method == "GET") {
				t.Fatalf("%s: %s, %q", method, resp.Status, body)
			}
		}
	}
	c.send("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	c.bodiless("the connection ends", 503)
}

// TestHEADRefusedHasNoBody: the same for every other answer that the router makes by itself.
func TestHEADRefusedHasNoBody(t *testing.T) {
	h, d := one(t, 1, func(cfg *Config) {
		cfg.MaxBodyBytes, cfg.AllowedOrigins, cfg.DebugHeader = 10, []string{"https://a.example"}, true
	})
	worker := h.workers["wka0"]
	worker.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	const sid = "/socket.io/?EIO=4&transport=polling&sid=abcd"
	for _, test := range []struct {
		name, request string
		want          int
	}{
		{"malformed target", "HEAD a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		{"malformed field", "HEAD / HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n", 400},
		{"version", "HEAD / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
		{"head too large", "HEAD / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 17<<10) + "\r\n\r\n", 431},
		{"expectation", "HEAD / HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n", 417},
		{"body too large", "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", 413},
		{"malformed body", "HEAD / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx", 400},
		{"origin", "HEAD " + sid + " HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n", 403},
		{"wrong key", "HEAD / HTTP/1.1\r\nHost: x\r\nSidereal-Key: guess\r\nSidereal-Worker: wka0\r\n\r\n", 403},
		{"the worker breaks off", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 502},
	} {
		c := dialTo(t, h.addr)
		c.send("%s", test.request)
		c.CloseWrite()
		c.bodiless(test.name, test.want)
	}
	leaving := *d.Workers().Get("wka0")
	leaving.State = directory.StateDraining
	d.Set(leaving)
	lateSID := worker.open()
	worker.kill()
	late := dialTo(t, h.addr)
	late.send("HEAD /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", lateSID)
	late.bodiless("a session that moved", 200)
	d.Set()
	none := dialTo(t, h.addr)
	none.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
	none.bodiless("no worker", 503)
}

func TestHEADRedirectedHasNoBody(t *testing.T) {
	addr := startRedirecting(t, 0)
	for host, want := range map[string]int{"a.example": 308, "evil.example": 400} {
		c := dialTo(t, addr)
		c.send("HEAD / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
		c.bodiless(host, want)
	}
	c := dialTo(t, addr)
	c.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
	if resp, body := c.answer("GET"); resp.StatusCode != 308 || body == "" {
		t.Errorf("GET: %s, %q", resp.Status, body)
	}
}
