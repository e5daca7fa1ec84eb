package router

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// knowRepeats marks the workers as such that recognise repeated requests.
func knowRepeats(d *directory.Static) {
	var all []directory.Worker
	for _, w := range d.Workers().All() {
		w := *w
		w.Repeats = true
		all = append(all, w)
	}
	d.Set(all...)
}

// listens makes the worker's polls wait for good. The channels bring the polls' sids, and what came
// behind each until the end of its connection.
func (w *testWorker) listens() (polls, behind chan string) {
	polls, behind = make(chan string, 10), make(chan string, 10)
	w.becomes(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		c, buf, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			w.t.Error(err)
			return
		}
		defer c.Close()
		polls <- r.URL.Query().Get("sid")
		b, err := io.ReadAll(buf)
		if err != nil {
			w.t.Error(err)
		}
		behind <- string(b)
	})
	return polls, behind
}

// told is what a worker hears of a client that left.
var told = string([]byte{handoff.ClientLeft})

// TestWorkerIsToldThatAClientLeft, and not when the router itself ends, however the request gets to
// the worker.
func TestWorkerIsToldThatAClientLeft(t *testing.T) {
	for name, c := range map[string]struct {
		hosts  int
		secure bool
		http2  bool
	}{
		"this host": {1, false, false}, "another host": {2, false, false},
		"this host, TLS": {1, true, false}, "another host, TLS": {2, true, false},
		"HTTP/2": {1, true, true}, "another host, HTTP/2": {2, true, true},
	} {
		for end, want := range map[string]string{"the client leaves": told, "the router ends": ""} {
			t.Run(name+", "+end, func(t *testing.T) {
				d := directory.NewStatic()
				var change func(*Config)
				if c.secure {
					change = secured(t)
				}
				hosts := cluster(t, d, change, []int{1, 1}[:c.hosts]...)
				behindDoors(d)
				knowRepeats(d)
				entry, last := hosts[0], hosts[c.hosts-1]
				var w *testWorker
				for _, w = range last.workers {
				}
				polls, behind := w.listens()
				target := "/socket.io/?EIO=4&transport=polling&sid=" + w.open()
				var leave func()
				if c.http2 {
					ctx, cancel := context.WithCancel(t.Context())
					h2, over := overH2(t, entry.addr), make(chan struct{})
					go func() {
						defer close(over)
						if _, err := h2.do(ctx, "GET", target, nil); err == nil && end == "the client leaves" {
							t.Error("it was answered")
						}
					}()
					defer func() {
						cancel()
						<-over
					}()
					leave = cancel
				} else {
					client := dialTo(t, entry.addr)
					if c.secure {
						client.secure("x")
					}
					client.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
					leave = func() { client.TCPConn.Close() }
				}
				receive(t, polls)
				if want == "" {
					entry.stop()
				} else {
					leave()
				}
				if got := receive(t, behind); got != want {
					t.Errorf("the worker heard %q, want %q", got, want)
				}
			})
		}
	}
}

// TestDoorThatEnds: between two hosts with TLS, the door in between isn't the client either. The
// first router asks again.
func TestDoorThatEnds(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, secured(t), 1, 1)
	behindDoors(d)
	knowRepeats(d)
	w := hosts[1].workers["wkb0"]
	polls, behind := w.listens()
	client := secureTo(t, hosts[0].addr, "x")
	client.send("GET /socket.io/?EIO=4&transport=polling&sid=%s&t=1 HTTP/1.1\r\nHost: x\r\n\r\n", w.open())
	receive(t, polls)
	hosts[1].stop()
	if got := receive(t, behind); got != "" {
		t.Errorf("the worker heard %q", got)
	}
}

// TestClientsDontSayThatTheyLeft: what a client sends behind its poll stays in the router, and the
// workers that don't understand the word hear nothing.
func TestClientsDontSayThatTheyLeft(t *testing.T) {
	for name, c := range map[string]struct {
		more    string
		repeats bool
		want    string
	}{
		"its own bytes":                {told, true, told},
		"many of them":                 {strings.Repeat(told, 100), true, told},
		"a worker that knows no words": {"", false, ""},
		"and a client that says some":  {told, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, d := one(t, 1, nil)
			if c.repeats {
				knowRepeats(d)
			}
			w := h.workers["wka0"]
			polls, behind := w.listens()
			client := dialTo(t, h.addr)
			client.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n%s", w.open(), c.more)
			receive(t, polls)
			client.Close()
			if got := receive(t, behind); got != c.want {
				t.Errorf("the worker heard %q, want %q", got, c.want)
			}
		})
	}
}

// TestBrokenRequestIsSentAgain: to a worker that lives and recognises the copy, once.
func TestBrokenRequestIsSentAgain(t *testing.T) {
	const post, poll = "POST", "GET"
	for name, c := range map[string]struct {
		method, query, body string
		breaks              int // so many times
		forgets             bool
		asked, status       int
	}{
		"a poll":                        {poll, "&t=1", "", 1, false, 2, 200},
		"a post":                        {post, "&t=1", "4x", 1, false, 2, 200},
		"an empty post":                 {post, "&t=1", "", 1, false, 2, 200},
		"twice":                         {poll, "&t=1", "", 2, false, 2, 502},
		"a poll without a number":       {poll, "", "", 1, false, 1, 502},
		"an empty number":               {poll, "&t=", "", 1, false, 1, 502},
		"a post without a number":       {post, "", "4x", 1, false, 1, 502},
		"a worker that forgets":         {poll, "&t=1", "", 1, true, 1, 502},
		"another method":                {"PUT", "&t=1", "x", 1, false, 1, 502},
		"a post that is longer than 64": {post, "&t=1", strings.Repeat("x", 300<<10), 1, false, 1, 502},
	} {
		for _, remote := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, remote %v", name, remote), func(t *testing.T) {
				d := directory.NewStatic()
				hosts := cluster(t, d, nil, 1, 1)
				behindDoors(d)
				if !c.forgets {
					knowRepeats(d)
				}
				w, entry := hosts[1].workers["wkb0"], hosts[1]
				if remote {
					entry = hosts[0]
				}
				type asked struct{ method, target, body, router, host string }
				var mu sync.Mutex // guards all
				var all []asked
				w.becomes(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodOptions {
						return
					}
					body, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					all = append(all, asked{r.Method, r.RequestURI, string(body), r.Header.Get("Sidereal-Router"), r.Host})
					if len(all) <= c.breaks {
						panic(http.ErrAbortHandler)
					}
					io.WriteString(rw, "answer")
				})
				client := dialTo(t, entry.addr)
				target := "/socket.io/?EIO=4&transport=polling&sid=" + w.open() + c.query
				client.send("%s %s HTTP/1.1\r\nHost: x\r\nSidereal-Router: forged\r\nContent-Length: %d\r\n\r\n%s", c.method, target, len(c.body), c.body)
				resp, body := client.answer(c.method)
				if resp.StatusCode != c.status || c.status == 200 && body != "answer" {
					t.Errorf("%d %q, want %d", resp.StatusCode, body, c.status)
				}
				mu.Lock()
				sent := slices.Clone(all)
				mu.Unlock()
				if len(sent) != c.asked {
					t.Fatalf("it was sent %d times, want %d", len(sent), c.asked)
				}
				for i, got := range sent {
					want := asked{c.method, target, c.body, entry.id + []string{"", "-copy"}[i], "x"}
					if got != want {
						t.Errorf("sent %.200v, want %.200v", got, want)
					}
				}
				if c.status == 200 {
					client.get(target)
					mu.Lock()
					defer mu.Unlock()
					if name := all[len(all)-1].router; name != entry.id {
						t.Errorf("the next request is %q's", name)
					}
				}
			})
		}
	}
}
