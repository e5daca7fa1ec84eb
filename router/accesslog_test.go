package router

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// journal is a log that can be read while it is written.
type journal struct{ testkit.Output }

// requests are the access log's lines.
func (l *journal) requests(t *testing.T) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(l.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m["message"] == "request" {
			all = append(all, m)
		}
	}
	return all
}

// next waits for the n-th line, from 1.
func (l *journal) next(t *testing.T, n int) map[string]any {
	t.Helper()
	testkit.Until(t, fmt.Sprintf("line %d", n), func() bool { return len(l.requests(t)) >= n })
	return l.requests(t)[n-1]
}

// logged starts a host with an access log.
func logged(t *testing.T, mode string, change func(*Config)) (*host, *journal) {
	t.Helper()
	log := new(journal)
	h, _ := one(t, 1, func(cfg *Config) {
		cfg.AccessLog, cfg.Log = mode, slog.New(loghandler.New(log, slog.LevelError))
		if change != nil {
			change(cfg)
		}
	})
	return h, log
}

func (m *journal) expect(t *testing.T, n int, want map[string]any) {
	t.Helper()
	got := m.next(t, n)
	for key, value := range want {
		if fmt.Sprint(got[key]) != fmt.Sprint(value) {
			t.Errorf("line %d: %s is %v, want %v: %v", n, key, got[key], value, got)
		}
	}
	if _, timed := got["took_ms"].(float64); !timed || got["client"] == "" {
		t.Errorf("line %d: %v", n, got)
	}
}

func TestAccessLog(t *testing.T) {
	h, log := logged(t, "all", nil)
	c := dialTo(t, h.addr)
	sid := c.handshake()
	log.expect(t, 1, map[string]any{"level": "info", "method": "GET", "path": "/socket.io/", "kind": "handshake", "decision": "balanced", "worker": "wka0",
		"status": 200, "client": c.LocalAddr(), "proto": "http/1.1"})
	c.send("POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", sid)
	resp, _ := c.answer("POST")
	head := 0
	for name, v := range resp.Header {
		head += len(name) + len(v[0]) + 4
	}
	log.expect(t, 2, map[string]any{"kind": "post", "decision": "cache", "sid": sid[:8] + "…", "bytes": len("HTTP/1.1 200 OK\r\n\r\nok") + head})
	c.get("/socket.io/?EIO=4&transport=polling&sid=unknown")
	log.expect(t, 3, map[string]any{"kind": "poll", "decision": "unknown", "status": 400, "sid": "unknown"})
	c.get("/page%1b?secret=1")
	log.expect(t, 4, map[string]any{"kind": "app", "decision": "app", "path": "/page%1b", "status": 200})
	c.send("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.answer("TRACE")
	c.Close()
	log.expect(t, 5, map[string]any{"status": 405, "reason": "method not served"})
	w := dialTo(t, h.addr)
	w.upgrade("&sid=" + sid)
	log.expect(t, 6, map[string]any{"kind": "upgrade", "decision": "cache", "worker": "wka0", "passed": true, "status": nil})
	bad := dialTo(t, h.addr)
	bad.send("nonsense\r\n\r\n")
	bad.answer("GET")
	bad.Close()
	log.expect(t, 7, map[string]any{"status": 400, "method": "", "reason": "malformed request line"})
	if n := len(log.requests(t)); n != 7 {
		t.Errorf("%d lines", n)
	}
	if text := log.String(); strings.Contains(text, sid) || strings.Contains(text, "secret") {
		t.Error("a secret is in the log:", text)
	}
}

func TestAccessLogOfClientsThatLeave(t *testing.T) {
	h, log := logged(t, "all,sids", nil)
	sid := h.workers["wka0"].open()
	c := dialTo(t, h.addr)
	c.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
	receive(t, h.workers["wka0"].polling)
	c.Close()
	log.expect(t, 1, map[string]any{"kind": "poll", "decision": "tag", "sid": sid, "left": true, "bytes": 0})
}

func TestAccessLogOfHTTP2(t *testing.T) {
	h, log := logged(t, "all", secured(t))
	overH2(t, h.addr).must("GET", "/app", nil)
	log.expect(t, 1, map[string]any{"proto": "h2", "status": 200, "kind": "app"})
}

func TestAccessLogOfErrors(t *testing.T) {
	h, log := logged(t, "errors", nil)
	c := dialTo(t, h.addr)
	c.get("/app")
	c.get("/socket.io/?EIO=4&transport=polling&sid=unknown")
	log.expect(t, 1, map[string]any{"status": 400, "kind": "poll"})
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) {
		io.WriteString(rw, "half")
		rw.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	c.send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
	log.expect(t, 2, map[string]any{"status": 200, "broken": true})
	if n := len(log.requests(t)); n != 2 {
		t.Errorf("%d lines", n)
	}
}

func TestAccessLogOfSomeRequests(t *testing.T) {
	h, log := logged(t, "1/10", nil)
	c := dialTo(t, h.addr)
	for range 100 {
		c.get("/app")
	}
	c.Close()
	testkit.Until(t, "the connection is served", func() bool { return h.Connections() == 0 })
	if n := len(log.requests(t)); n != 10 {
		t.Errorf("%d lines of 100 requests", n)
	}
}

func TestNoAccessLog(t *testing.T) {
	h, log := logged(t, "", nil)
	c := dialTo(t, h.addr)
	resp, _ := c.get("/socket.io/?EIO=4&transport=polling&sid=unknown")
	c.Close()
	testkit.Until(t, "the connection is served", func() bool { return h.Connections() == 0 })
	if n := len(log.requests(t)); n != 0 || resp.Header.Get("Sidereal-Debug") != "" {
		t.Errorf("%d lines, %v", n, resp.Header)
	}
}

func TestAccessLogModes(t *testing.T) {
	for text, want := range map[string]accessMode{
		"": {}, "off": {}, "errors": {errors: true}, "all": {every: 1}, "1/100": {every: 100}, "errors,sids": {errors: true, sids: true},
	} {
		if got, err := parseAccessMode(text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"some", "1/0", "1/", "1/-1", "2/3", "all,", "all,all", "1/99999999999"} {
		if _, err := parseAccessMode(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestDebugHeader(t *testing.T) {
	h, _ := logged(t, "off", func(cfg *Config) { cfg.DebugHeader = true })
	h.workers["wka0"].answers(func(rw http.ResponseWriter, r *http.Request) { rw.Header().Set("Sidereal-Debug", "forged") })
	c := dialTo(t, h.addr)
	sid := c.handshake()
	for target, want := range map[string]string{
		"/app": "app; worker=wka0", handshakeTarget: "balanced; worker=wka0",
		handshakeTarget + "&sid=unknown": "unknown; worker=wka0",
	} {
		resp, _ := c.get(target)
		got := resp.Header["Sidereal-Debug"]
		if len(got) != 1 || !regexp.MustCompile(`^decision=`+want+`; took=\d+us$`).MatchString(got[0]) {
			t.Errorf("%s: %q", target, got)
		}
	}
	c.send("POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", sid)
	if resp, _ := c.answer("POST"); !strings.HasPrefix(resp.Header.Get("Sidereal-Debug"), "decision=; worker=; took=") {
		t.Error(resp.Header)
	}
}

// BenchmarkAccessLog is BenchmarkProxiedPoll with a line for each request, for none, and for one of
// a hundred.
func BenchmarkAccessLog(b *testing.B) {
	for _, mode := range []string{"off", "1/100", "errors", "all"} {
		b.Run(strings.ReplaceAll(mode, "/", "of"), func(b *testing.B) {
			d := directory.NewStatic()
			host := cluster(b, d, func(cfg *Config) {
				cfg.AccessLog, cfg.Log = mode, slog.New(loghandler.New(io.Discard, slog.LevelDebug))
			}, 0)[0]
			benchWorker(b, host.dir, "wka0")
			d.Set(directory.Worker{ID: "wka0", Host: "a", Tags: true})
			benchRequests(b, host.addr, fmt.Appendf(nil, "GET %s&sid=%s HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n", handshakeTarget, directory.MintSID("wka0")))
		})
	}
}
