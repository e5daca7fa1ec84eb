package router

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// mirror notes the requests that a server reads.
type mirror struct {
	mu   sync.Mutex
	seen []string
}

func (m *mirror) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return // not a whole request
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = append(m.seen, fmt.Sprintf("%s %s %s %q", r.Method, r.RequestURI, r.Host, b))
}

func (m *mirror) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := m.seen
	m.seen = nil
	return seen
}

// sendAll sends bytes and waits until everything that came of them is answered.
func sendAll(t *testing.T, addr, raw string) {
	t.Helper()
	c := dialTo(t, addr)
	defer c.Close()
	c.send("%s", raw)
	c.CloseWrite()
	io.Copy(io.Discard, c.br)
}

// A router passes on the requests that net/http would have read by itself, and ends the connection
// at one that it wouldn't vouch for.
func TestSmuggling(t *testing.T) {
	var direct, behind mirror
	ln := loopback(t)
	alone := &http.Server{Handler: &direct}
	done := make(chan struct{})
	go func() {
		defer close(done)
		alone.Serve(ln)
	}()
	defer func() {
		alone.Close()
		<-done
	}()
	h, _ := one(t, 1, nil)
	h.workers["wka0"].becomes(behind.ServeHTTP)
	forwarded := 0
	for name, raw := range testkit.Smuggled() {
		sendAll(t, ln.Addr().String(), raw)
		sendAll(t, h.addr, raw)
		want, got := direct.take(), behind.take()
		if len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
			t.Errorf("%s: the worker read %q, alone it reads %q", name, got, want)
		}
		for _, r := range got {
			if strings.Contains(r[:min(len(r), 20)], "/smuggled ") {
				t.Errorf("%s: smuggled", name)
			}
		}
		forwarded += len(got)
	}
	if forwarded < 15 { // the odd forms that are good HTTP
		t.Errorf("%d requests got through", forwarded)
	}
}

const forged = "GET /socket.io/?forged HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nSidereal-Client: 203.0.113.9:9\r\n\r\n"

// The bytes after an upgrade that the app does not take are read by the router, or by nobody.
func TestNothingIsSmuggledBehindAnUpgrade(t *testing.T) {
	type way struct {
		w *testWorker
		c func() *testClient
	}
	ways := map[string]func(t *testing.T) way{
		"passed": func(t *testing.T) way {
			h, _ := one(t, 1, nil)
			return way{h.workers["wka0"], func() *testClient { return dialTo(t, h.addr) }}
		},
		"to another host": func(t *testing.T) way {
			hosts := cluster(t, directory.NewStatic(), nil, 0, 1)
			return way{hosts[1].workers["wkb0"], func() *testClient { return dialTo(t, hosts[0].addr) }}
		},
		"over TLS": func(t *testing.T) way {
			h, _ := one(t, 1, secured(t))
			return way{h.workers["wka0"], func() *testClient { return secureTo(t, h.addr, "x") }}
		},
		"over TLS on both sides": func(t *testing.T) way {
			d := directory.NewStatic()
			hosts := cluster(t, d, secured(t), 0, 1)
			behindDoors(d)
			return way{hosts[1].workers["wkb0"], func() *testClient { return secureTo(t, hosts[0].addr, "x") }}
		},
		"listed": func(t *testing.T) way {
			servers, list := startUpstreams(t, 1)
			r, d := listed(t, directory.UpstreamConfig{List: list})
			awaitReady(t, d, 1)
			return way{servers[0], func() *testClient { return dialTo(t, r.addr) }}
		},
		"inside another program": func(t *testing.T) way {
			h, _ := one(t, 1, nil)
			testkit.Until(t, "the router to run", h.listening.Load)
			s := httptest.NewServer(h.Router)
			t.Cleanup(s.Close)
			return way{h.workers["wka0"], func() *testClient { return dialTo(t, s.Listener.Addr().String()) }}
		},
		"to a worker that wants them untouched": func(t *testing.T) way {
			r, w := untouched(t, nil)
			return way{w, func() *testClient { c := dialTo(t, r.addr); c.get("/"); return c }} // a later request is not passed
		},
	}
	for name, begin := range ways {
		t.Run(name, func(t *testing.T) {
			way := begin(t)
			asked := 0
			begun := func() int {
				way.w.mu.Lock()
				defer way.w.mu.Unlock()
				return asked
			}
			var answer chan struct{}
			way.w.becomes(func(rw http.ResponseWriter, r *http.Request) {
				way.w.mu.Lock()
				wait := answer
				asked++
				way.w.mu.Unlock()
				if r.Header.Get("Upgrade") != "" {
					<-wait
				}
				fmt.Fprint(rw, "served")
			})
			for _, segments := range [][]string{{forged}, {"", forged}, {forged, forged + forged}, {forged[:30], forged[30:]}, {"\x81\x85\x00\x00", "\x00\x00hello"}} {
				way.w.mu.Lock()
				answer = make(chan struct{})
				way.w.mu.Unlock()
				before := begun()
				c := way.c()
				c.send("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n%s\r\n%s", upgradeFields, segments[0])
				testkit.Until(t, "the upgrade to be read", func() bool { return begun() > before })
				for _, s := range segments[1:] {
					c.send("%s", s)
				}
				close(answer)
				if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "served" {
					t.Errorf("%s %q", resp.Status, body)
				}
				c.closeWrite()
				io.Copy(io.Discard, c.br) // until everything is answered
			}
			way.w.mu.Lock()
			defer way.w.mu.Unlock()
			for _, r := range way.w.requests {
				if said := fmt.Sprint(r.Header); strings.Contains(said, "203.0.113.9") {
					t.Errorf("the worker read %s %v", r.RequestURI, said)
				}
			}
		})
	}
}

// An upgrade is agreed on by a 101 that names WebSocket, and by nothing else.
func TestOtherAgreementsOpenNothing(t *testing.T) {
	for name, answer := range map[string]string{
		"no fields":        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"another protocol": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"not this one":     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
		"interim ones":     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"with a body":      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno",
	} {
		t.Run(name, func(t *testing.T) {
			hosts := cluster(t, directory.NewStatic(), nil, 0, 1)
			heard := make(chan string, 1)
			hosts[1].workers["wkb0"].becomes(func(rw http.ResponseWriter, _ *http.Request) {
				c, buf, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				io.WriteString(c, answer)
				b, _ := io.ReadAll(buf)
				heard <- string(b)
			})
			c := dialTo(t, hosts[0].addr)
			c.send("%s\r\nearly", plainUpgrade)
			if resp, _ := c.answer("GET"); resp.StatusCode == 101 {
				t.Error(resp.Status)
			}
			c.Close()
			if s := receive(t, heard); s != "" {
				t.Errorf("the worker heard %q", s)
			}
		})
	}
}
