package router

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestBodyLimit(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxBodyBytes = 100 })
	worker := h.workers["wka0"]
	sid := worker.open()
	post := "POST /socket.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nHost: x\r\n"
	for _, test := range []struct {
		name, rest string
		want       int
	}{
		{"length within", fmt.Sprintf("Content-Length: 100\r\n\r\n%0100d", 1), 200},
		{"length beyond", fmt.Sprintf("Content-Length: 101\r\n\r\n%0101d", 1), 413},
		{"length far beyond, nothing sent", "Content-Length: 900000000000\r\n\r\n", 413},
		{"one chunk within", fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n50\r\n%080d\r\n0\r\n\r\n", 1), 200},
		{"one chunk beyond", fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n70\r\n%0112d\r\n0\r\n\r\n", 1), 413},
		{"an endless chunked body", "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 40), 413},
	} {
		c := dialTo(t, h.addr)
		c.send("%s", post+test.rest)
		if resp, _ := c.answer("POST"); resp.StatusCode != test.want {
			t.Errorf("%s: %s", test.name, resp.Status)
		}
	}
	late := dialTo(t, h.addr)
	late.send("%sTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", post)
	late.send("70\r\n%0112d\r\n0\r\n\r\n", 1)
	if resp, _ := late.answer("POST"); resp.StatusCode != 413 {
		t.Errorf("in pieces: %s", resp.Status)
	}
}

func TestRequestsInFlight(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.RequestsInFlight = 2 })
	worker := h.workers["wka0"]
	var parked []*testClient
	for range 2 {
		c := dialTo(t, h.addr)
		c.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", worker.open())
		receive(t, worker.polling)
		parked = append(parked, c)
	}
	c := dialTo(t, h.addr)
	for _, target := range []string{"/app", handshakeTarget, handshakeTarget + "&sid=" + worker.open()} {
		if resp, _ := c.get(target); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || resp.Close {
			t.Errorf("%s: %s", target, resp.Status)
		}
	}
	if n := counter(t, h.metrics.limited[byRequests]); n != 3 {
		t.Errorf("%v counted", n)
	}
	parked[0].Close()
	receive(t, worker.polled)
	testkit.Until(t, "there is room again", func() bool {
		resp, _ := c.get("/app")
		return resp.StatusCode == 200
	})
	if b := h.Router.workers.of(h.cfg.Directory.Workers().Get("wka0")); b.opened.Load() != 0 || b.gate.inFlight.Load() != 0 {
		t.Errorf("%d opened, %d in flight", b.opened.Load(), b.gate.inFlight.Load())
	}
}

func TestAllowedOrigins(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		cfg.AllowedOrigins = []string{"https://Chat.example", "http://localhost:3000", "https://*.b.example"}
	})
	sid := h.workers["wka0"].open()
	post := "POST /socket.io/?EIO=4&transport=polling&sid=" + sid + " HTTP/1.1\r\nContent-Length: 0\r\nHost: x\r\n"
	for origin, want := range map[string]int{
		"": 200, "Origin: https://chat.example\r\n": 200, "origin: HTTPS://CHAT.EXAMPLE\r\n": 200, "Origin: http://localhost:3000\r\n": 200,
		"Origin: https://x.b.example\r\n": 200, "Origin: https://x.y.b.example\r\n": 200,
		"Origin: https://b.example\r\n": 403, "Origin: https://xb.example\r\n": 403, "Origin: http://x.b.example\r\n": 403,
		"Origin: https://.b.example\r\n": 403, "Origin: https://x.b.example.evil\r\n": 403, "Origin: https://x.b.example:444\r\n": 403,
		"Origin: http://chat.example\r\n": 403, "Origin: null\r\n": 403, "Origin: \r\n": 403, "Origin: http://localhost\r\n": 403,
		"Origin: https://chat.example\r\nOrigin: https://evil.example\r\n": 403,
	} {
		c := dialTo(t, h.addr)
		c.send("%s%s\r\n", post, origin)
		if resp, _ := c.answer("POST"); resp.StatusCode != want {
			t.Errorf("%q: %s, want %d", origin, resp.Status, want)
		}
	}
	ws := dialTo(t, h.addr)
	ws.send("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nOrigin: https://evil.example\r\n%s\r\n", upgradeFields)
	if resp, _ := ws.answer("GET"); resp.StatusCode != 403 {
		t.Error("a WebSocket:", resp.Status)
	}
	page := dialTo(t, h.addr)
	page.send("GET /page HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\n\r\n")
	if resp, _ := page.answer("GET"); resp.StatusCode != 200 {
		t.Error("the app's own:", resp.Status)
	}
	for _, wrong := range []string{"*", "chat.example", "https://", "https://*", "https://*.", "https://a.*.example", "https://a/", "https://u@a"} {
		if _, err := parseOrigins([]string{wrong}); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestTLSHandshakeRate(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.TLSHandshakeRate = 1
	})
	first := secureTo(t, h.addr, "x")
	before := counter(t, h.metrics.limited[byTLS])
	refused := 0
	for range 3 {
		if c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true}); err != nil {
			refused++
		} else {
			c.Close()
		}
	}
	if n := counter(t, h.metrics.limited[byTLS]) - before; int(n) != refused {
		t.Errorf("%d refused, %v counted", refused, n)
	}
	if resp, _ := first.get("/app"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// The rate holds for whoever can't prove to be a router of ours: the door's name is in this file,
// for everybody to read.
func TestTLSHandshakeRateOfTheDoor(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, func(cfg *Config) {
		secured(t)(cfg)
		cfg.TLSHandshakeRate = 1000
	}, 1, 1)
	behindDoors(d)
	entry, door := hosts[0], hosts[1]
	client := secureTo(t, entry.addr, "x")
	door.hellos.full.Store(time.Now().Add(time.Hour).UnixNano()) // the rate is used up
	secret, err := d.Secret(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := newDoorKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := newDoorKey("another app's")
	if err != nil {
		t.Fatal(err)
	}
	proof := ours.prove()
	changed := []byte(proof)
	changed[len(proofPrefix)]++
	limited := 0
	for _, test := range []struct {
		name   string
		protos []string
		want   bool
	}{
		{"the name alone", nil, false},
		{"another protocol", []string{"h2", "http/1.1"}, false},
		{"no proof", []string{proofPrefix}, false},
		{"too short", []string{proof[:len(proof)-1]}, false},
		{"another number", []string{string(changed)}, false},
		{"another secret", []string{theirs.prove()}, false},
		{"many", []string{theirs.prove(), proof}, false},
		{"a proof", []string{proof}, true},
		{"the same again", []string{proof}, false},
		{"a new one", []string{ours.prove()}, true},
	} {
		c, err := tls.Dial("tcp", door.addr, &tls.Config{InsecureSkipVerify: true, ServerName: doorName, NextProtos: test.protos})
		if err == nil {
			c.Close()
		} else {
			limited++
		}
		if (err == nil) != test.want {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if n := counter(t, door.metrics.limited[byTLS]); int(n) != limited {
		t.Errorf("%d refused, %v counted", limited, n)
	}
	worker := door.workers["wkb0"]
	if resp, body := client.get("/socket.io/?EIO=4&transport=polling&sid=" + directory.MintSID("wkb0")); resp.StatusCode != 400 || !strings.Contains(body, "wkb0") {
		t.Errorf("a router at the door: %s %q", resp.Status, body)
	}
	if worker.last() == nil {
		t.Error("the worker behind the door was not asked")
	}
}

func TestProofsAreBounded(t *testing.T) {
	var p proofs
	number := func(i int) (n [proofNumber]byte) {
		binary.BigEndian.PutUint64(n[:], uint64(i))
		return n
	}
	for i := range 3*maxProofs + 1 {
		if !p.use(number(i)) || p.use(number(i)) {
			t.Fatalf("number %d", i)
		}
	}
	if n := len(p.now) + len(p.before); n > 2*maxProofs {
		t.Errorf("%d remembered", n)
	}
	if p.use(number(2 * maxProofs)) {
		t.Error("a number of the generation before is used again")
	}
}

func TestPace(t *testing.T) {
	var p pace
	taken := func(perSecond int, now int64) (n int) {
		for p.take(perSecond, now) {
			n++
		}
		return n
	}
	const second = int64(1e9)
	if n := taken(100, 10*second); n != 100 {
		t.Errorf("%d at first", n)
	}
	if n := taken(100, 10*second+second/2); n != 50 {
		t.Errorf("%d half a second later", n)
	}
	if n := taken(100, 100*second); n != 100 {
		t.Errorf("%d after a long time: unused places are not kept", n)
	}
}

// Every value that the router writes into a head is one line, whatever a client, a worker or the
// settings put into it.
func TestNothingIsInjected(t *testing.T) {
	h, _ := logged(t, "all", func(cfg *Config) { cfg.DebugHeader = true })
	worker := h.workers["wka0"]
	evil := []string{"\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "\x00X-Evil: 1", "\x0bX-Evil: 1"}
	for _, e := range evil {
		for _, request := range []string{
			"GET /" + e + " HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: x" + e + "\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1" + e + "\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://x" + e + "\r\n\r\n",
			"GET /socket.io/?transport=polling&sid=x" + e + " HTTP/1.1\r\nHost: x\r\n\r\n",
		} {
			c := dialTo(t, h.addr)
			c.send("%s", request)
			resp, err := http.ReadResponse(c.br, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			if resp.Header.Get("X-Evil") != "" {
				t.Errorf("%q: the client gets it", request)
			}
			// A field of its own is what the client may send: what must not be is that it is one
			// and passes for another's value.
			if r := worker.last(); r != nil && resp.StatusCode == 200 && r.Header.Get("X-Evil") != "" && !strings.HasPrefix(e, "\r\n") {
				t.Errorf("%q: the worker gets it", request)
			}
		}
	}
	// Escapes in a query stay escapes, though the sid is decoded to be looked up.
	c := dialTo(t, h.addr)
	if resp, _ := c.get(handshakeTarget + "&sid=%0d%0aX-Evil:%201"); resp.Header.Get("X-Evil") != "" || !strings.Contains(worker.last().RequestURI, "%0d%0aX-Evil") {
		t.Error(resp.Header, worker.last().RequestURI)
	}
}
