package router

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// relays are the ways on which a WebSocket goes through a router's hands: each is a router, its
// worker, and a client that is not yet upgraded.
func relays(t *testing.T, test func(t *testing.T, h *host, w *testWorker, c *testClient)) {
	t.Run("to another host", func(t *testing.T) {
		hosts := cluster(t, directory.NewStatic(), nil, 1, 1)
		test(t, hosts[0], hosts[1].workers["wkb0"], dialTo(t, hosts[0].addr))
	})
	t.Run("over TLS", func(t *testing.T) {
		h, _ := one(t, 1, secured(t))
		test(t, h, h.workers["wka0"], secureTo(t, h.addr, "x"))
	})
	t.Run("over TLS on both sides", func(t *testing.T) {
		d := directory.NewStatic()
		hosts := cluster(t, d, secured(t), 1, 1)
		behindDoors(d)
		test(t, hosts[0], hosts[1].workers["wkb0"], secureTo(t, hosts[0].addr, "x"))
	})
}

// speaks makes the worker's WebSockets what f does with them.
func (w *testWorker) speaks(f func(c net.Conn, r io.Reader)) {
	w.becomes(func(rw http.ResponseWriter, _ *http.Request) {
		c, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			w.t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		f(c, buf)
	})
}

func (c *testClient) closeWrite() error {
	if c.over != nil {
		return c.over.CloseWrite()
	}
	return c.TCPConn.CloseWrite()
}

func (c *testClient) upgraded(w *testWorker) {
	c.t.Helper()
	if resp := c.upgrade("&sid=" + w.open()); resp.StatusCode != 101 {
		c.t.Fatal(resp.Status)
	}
}

// TestUpgradeThatIsNeverAnswered: the router stops waiting, whether nothing comes or a part.
func TestUpgradeThatIsNeverAnswered(t *testing.T) {
	dir := t.TempDir()
	w := startWorker(t, dir, "wka0")
	cfg := Config{Directory: directory.NewStatic(directory.Worker{ID: "wka0", Host: "a", Tags: true}), RuntimeDir: dir, HostName: "a", ShutdownTimeout: tick}
	secured(t)(&cfg)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.upgradeTime = tick
	ln := loopback(t)
	testkit.Run(t, func(ctx context.Context) error { return r.Serve(ctx, ln) })
	for name, part := range map[string]string{"nothing": "", "a part": "HTTP/1.1 101 Switching Protocols\r\n"} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			w.becomes(func(rw http.ResponseWriter, _ *http.Request) {
				wc, buf, err := http.NewResponseController(rw).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer wc.Close()
				defer close(ended)
				io.WriteString(wc, part)
				buf.ReadByte() // the router's end
			})
			sid := "&sid=" + w.open()
			if resp := secureTo(t, ln.Addr().String(), "x").upgrade(sid); resp.StatusCode != 502 {
				t.Error(resp.Status)
			}
			testkit.Closed(t, "the worker's connection is closed", ended)
		})
	}
}

func TestRelayPassesTheClientsEndOn(t *testing.T) {
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		w.speaks(func(wc net.Conn, r io.Reader) {
			b, _ := io.ReadAll(r) // to its end
			fmt.Fprintf(wc, "got %s", b)
		})
		c.upgraded(w)
		c.send("all of it")
		c.closeWrite()
		if b, err := io.ReadAll(c.br); string(b) != "got all of it" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		testkit.Until(t, "the relay has ended", func() bool { return counter(t, h.metrics.relayed) == 0 })
	})
}

func TestRelayPassesTheWorkersEndOn(t *testing.T) {
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		heard := make(chan string, 1)
		w.speaks(func(wc net.Conn, r io.Reader) {
			io.WriteString(wc, "bye")
			wc.(interface{ CloseWrite() error }).CloseWrite()
			b, _ := io.ReadAll(r)
			heard <- string(b)
		})
		c.upgraded(w)
		if b, err := io.ReadAll(c.br); string(b) != "bye" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		c.send("after the end")
		c.closeWrite()
		if got := receive(t, heard); got != "after the end" {
			t.Errorf("the worker heard %q", got)
		}
		testkit.Until(t, "the relay has ended", func() bool { return counter(t, h.metrics.relayed) == 0 })
	})
}

// Who reads late gets everything, and meanwhile the other one waits: the router keeps no more than
// a buffer.
func TestRelayWaitsForSlowReaders(t *testing.T) {
	const size = 16 << 20
	sum := func(r io.Reader) (string, error) {
		h := sha256.New()
		_, err := io.CopyN(h, r, size)
		return fmt.Sprintf("%x", h.Sum(nil)), err
	}
	block := strings.Repeat("0123456789abcdef", 4<<10)
	want, _ := sum(strings.NewReader(strings.Repeat(block, size/len(block))))
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		for _, reader := range []string{"worker", "client"} {
			if reader == "client" {
				if c = dialTo(t, h.addr); h.cfg.Certificates != nil {
					c.secure("x")
				}
			}
			read, got := make(chan struct{}), make(chan string, 1)
			w.speaks(func(wc net.Conn, r io.Reader) {
				if reader == "client" {
					for range size / len(block) {
						io.WriteString(wc, block)
					}
					io.Copy(io.Discard, r)
					return
				}
				<-read
				s, _ := sum(r)
				got <- s
			})
			c.upgraded(w)
			if reader == "worker" {
				var sending sync.WaitGroup
				sending.Go(func() {
					for i := range size / len(block) {
						c.send("%s", block)
						if i == 0 {
							close(read)
						}
					}
				})
				if s := receive(t, got); s != want {
					t.Error("what the worker got is not what was sent")
				}
				sending.Wait()
				c.Close()
				continue
			}
			if s, err := sum(c.br); s != want {
				t.Errorf("what the client got is not what was sent: %v", err)
			}
		}
	})
}

// A worker that dies takes its relays with it, whatever hangs in them.
func TestRelayEndsWithADeadWorker(t *testing.T) {
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		stuck := make(chan struct{})
		w.speaks(func(wc net.Conn, _ io.Reader) {
			io.WriteString(wc, "x")
			<-stuck
		})
		c.upgraded(w)
		var sending sync.WaitGroup
		sending.Go(func() { // until nothing goes any more, and then until it breaks
			block := []byte(strings.Repeat("x", 1<<16))
			var to io.Writer = c.TCPConn
			if c.over != nil {
				to = c.over
			}
			for {
				if _, err := to.Write(block); err != nil {
					return
				}
			}
		})
		if b, err := c.br.ReadByte(); b != 'x' || err != nil {
			t.Fatal(err)
		}
		close(stuck) // the worker closes with everything unread: a reset
		sending.Wait()
		testkit.Until(t, "the relay has ended", func() bool { return counter(t, h.metrics.relayed) == 0 })
	})
}

func TestRelaysCarryAndEnd(t *testing.T) {
	end := map[string]func(t *testing.T, w *testWorker, c *testClient){
		"the client's end": func(t *testing.T, _ *testWorker, c *testClient) { c.closeWrite(); c.ended() },
		"a reset":          func(_ *testing.T, _ *testWorker, c *testClient) { c.SetLinger(0); c.Close() },
		"the worker's end": func(_ *testing.T, _ *testWorker, c *testClient) { c.send("end"); c.ended(); c.Close() },
	}
	for name, end := range end {
		t.Run(name, func(t *testing.T) {
			relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
				w.speaks(func(wc net.Conn, r io.Reader) { // an echo, until it is told to end
					for b := make([]byte, 1<<16); ; {
						n, err := r.Read(b)
						if err != nil || string(b[:n]) == "end" {
							return
						}
						wc.Write(b[:n])
					}
				})
				c.upgraded(w)
				big := strings.Repeat("0123456789", 100_000)
				for _, s := range []string{"hello", "hello again", big, "x"} {
					c.echoes(s)
				}
				end(t, w, c)
				testkit.Until(t, "the relay has ended", func() bool { return counter(t, h.metrics.relayed) == 0 })
			})
		})
	}
}

func TestRelaysAreDrained(t *testing.T) {
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		c.upgraded(w)
		c.echoes("hello")
		h.stop()
		c.ended()
		for range h.done { // Serve returns
		}
	})
}

// Behind an upgrade that was refused, no request is sent over the same connection: its app has it,
// and may never read again.
func TestRefusedUpgradeEndsTheWorkersConnection(t *testing.T) {
	relays(t, func(t *testing.T, h *host, w *testWorker, c *testClient) {
		held := make(chan struct{})
		t.Cleanup(func() { close(held) })
		sid := w.open()
		w.becomes(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" {
				io.WriteString(rw, "served")
				return
			}
			wc, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer wc.Close()
			io.WriteString(wc, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
			<-held
		})
		if resp := c.upgrade("&sid=" + sid); resp.StatusCode != 400 {
			t.Fatal(resp.Status)
		}
		if resp, body := c.get("/socket.io/?transport=polling&sid=" + sid); resp.StatusCode != 200 || body != "served" {
			t.Errorf("%s %q", resp.Status, body)
		}
	})
}
