//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/internal/why"
)

// rawClient is a WebSocket client that does only what a test tells it to.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	sid  string
	id   string // the socket's
}

// dialRaw opens a session and joins the main namespace. It doesn't answer pings afterwards.
func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn, buffered, _, err := ws.Dial(ctx, "ws://"+addr+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{t: t, conn: conn}
	var r io.Reader = conn
	if buffered != nil {
		r = io.MultiReader(buffered, conn) // what came with the answer
	}
	c.decode(r, "0", &c.sid)
	c.send("40")
	c.decode(r, "40", &c.id)
	return c
}

// decode reads the next packet, which has a prefix and an object with a sid.
func (c *rawClient) decode(r io.Reader, prefix string, sid *string) {
	c.t.Helper()
	for {
		f, err := ws.ReadFrame(r)
		if err != nil {
			c.t.Fatal(err)
		}
		if text, ok := strings.CutPrefix(string(f.Payload), prefix); ok && strings.HasPrefix(text, "{") {
			var packet struct{ SID string }
			if err := json.Unmarshal([]byte(text), &packet); err != nil {
				c.t.Fatal(err)
			}
			*sid = packet.SID
			return
		}
	}
}

func (c *rawClient) send(text string) {
	c.t.Helper()
	if err := ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text)))); err != nil {
		c.t.Fatal(err)
	}
}

// closeProxy passes connections on, and cuts those on which nothing passes for a while.
func closeProxy(t *testing.T, to string, after time.Duration) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(func() { l.Close() })
	serve := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		idle := time.AfterFunc(after, func() { client.Close(); server.Close() })
		defer idle.Stop()
		pass := func(dst, src net.Conn) {
			buf := make([]byte, 4096)
			for {
				n, err := src.Read(buf)
				if n > 0 {
					idle.Reset(after)
					_, _ = dst.Write(buf[:n])
				}
				if err != nil {
					client.Close()
					server.Close()
					return
				}
			}
		}
		var both sync.WaitGroup
		both.Go(func() { pass(client, server) })
		pass(server, client)
		both.Wait()
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	return l.Addr().String()
}

// asksWhy runs `sidereal why` until the answer is what the test waits for.
func asksWhy(t *testing.T, h *harness.Host, id string, cause why.Cause) (d why.Diagnosis) {
	t.Helper()
	testkit.Until(t, "the cause "+string(cause)+" of "+id, func() bool {
		d = askWhy(t, h, id)
		return d.Cause == cause
	})
	return d
}

func askWhy(t *testing.T, h *harness.Host, id string) (d why.Diagnosis) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(), "why", "--json", "--admin-addr", h.AdminAddr(), id)
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("sidereal why %s: %v", id, err)
	}
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return d
}

// TestWhy ends sessions in every way, and asks for the reason.
func TestWhy(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "faulty")
	build := exec.Command("go", "build", "-o", binary, "./e2e/faulty")
	build.Dir = harness.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	host := harness.StartHost(t, harness.HostConfig{
		Name: "host-a", Workers: 1, App: []string{binary},
		Env: []string{"SIDEREAL_PING_INTERVAL=7s", "SIDEREAL_PING_TIMEOUT=2s", "SIDEREAL_HANDSHAKES_PER_ADDRESS=1000"},
	})
	dial := func(t *testing.T) *rawClient { return dialRaw(t, host.Addr) }

	t.Run("sessions", func(t *testing.T) {
		for name, c := range map[string]struct {
			do    func(t *testing.T, c *rawClient)
			cause why.Cause
			says  string
		}{
			"client left":     {func(_ *testing.T, c *rawClient) { c.send("41") }, why.ClientLeft, "disconnect()"},
			"page closed":     {func(_ *testing.T, c *rawClient) { c.bye(1001) }, why.ClientLeft, "page was closed"},
			"cut":             {func(_ *testing.T, c *rawClient) { c.conn.Close() }, why.ConnectionLost, "without a goodbye"},
			"frozen client":   {func(_ *testing.T, _ *rawClient) {}, why.PingTimeout, "confirms all bytes"},
			"app":             {func(_ *testing.T, c *rawClient) { c.send(`42["kick"]`) }, why.AppDisconnect, `"kick"`},
			"slow client":     {func(_ *testing.T, c *rawClient) { c.send(`42["flood"]`) }, why.SlowClient, "MaxQueueBytes"},
			"limit":           {func(_ *testing.T, c *rawClient) { c.send(`42["join",["a","b","c","d"]]`) }, why.Limit, "MaxRooms"},
			"breach":          {func(_ *testing.T, c *rawClient) { c.send(`42{}`) }, why.Breach, "rules of the protocol"},
			"blocked handler": {func(t *testing.T, c *rawClient) { c.block(t) }, why.BlockedHandler, `"block"`},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				client := dial(t)
				c.do(t, client)
				d := asksWhy(t, host, client.sid, c.cause)
				if !strings.Contains(d.Text, c.says) {
					t.Errorf("%q doesn't contain %q", d.Text, c.says)
				}
				if by := asksWhy(t, host, client.id, c.cause); by.Text != d.Text && c.cause != why.BlockedHandler {
					t.Errorf("by the socket's id: %q", by.Text)
				}
				if len(d.Ended) == 0 || d.Ended[0].Router != "host-a" || d.Ended[0].Process.Name != "worker-1" {
					t.Errorf("records %+v", d.Ended)
				}
			})
		}
		t.Run("proxy", func(t *testing.T) {
			t.Parallel()
			proxy := closeProxy(t, host.Addr, 5*time.Second)
			for range 3 { // on a busy machine, one may be cut late
				var clients []*rawClient
				for range 4 {
					clients = append(clients, dialRaw(t, proxy))
				}
				for _, c := range clients {
					_, _ = io.Copy(io.Discard, c.conn) // until it is cut
				}
				for _, c := range clients {
					if d := askWhy(t, host, c.sid); d.Cause == why.ProxyTimeout {
						return
					}
				}
			}
			t.Error("no session was found to be cut by a proxy")
		})
		t.Run("connected", func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			if d := asksWhy(t, host, c.id, why.Connected); !strings.Contains(d.Text, "websocket") {
				t.Errorf("text %q", d.Text)
			}
		})
		t.Run("middleware", func(t *testing.T) {
			t.Parallel()
			c := dial(t)
			c.send("40/members,")
			c.send("40/none,")
			if d := asksWhy(t, host, c.sid, why.RefusedByApp); !strings.Contains(d.Text, "members only") {
				t.Errorf("text %q", d.Text)
			}
		})
	})

	t.Run("unknown", func(t *testing.T) {
		for _, id := range []string{"AAAAAAAAAAAAAAAAAAAA", "\x1b[2Jevil", strings.Repeat("x", 500)} {
			if d := askWhy(t, host, id); d.Cause != why.Unknown || d.Remedy == "" {
				t.Errorf("%q: %+v", id, d)
			}
		}
	})
	t.Run("refused handshake", func(t *testing.T) {
		status, _ := harness.Get(t.Context(), t, host.URL+"/socket.io/?EIO=4&transport=polling&token=wrong")
		if status != 403 {
			t.Errorf("status %d", status)
		}
		if d := asksWhy(t, host, "127.0.0.1", why.RefusedByApp); !strings.Contains(d.Text, "the token has expired") {
			t.Errorf("text %q", d.Text)
		}
	})
	t.Run("killed worker", func(t *testing.T) {
		c := dial(t)
		harness.KillPID(t, host.Child(t, "worker-1").PID)
		d := asksWhy(t, host, c.sid, why.LostWorker)
		if !strings.Contains(d.Text, c.sid[:4]) {
			t.Errorf("text %q", d.Text)
		}
		host.AwaitWorkers(t, 1)
	})
	t.Run("reload", func(t *testing.T) {
		c := dial(t)
		host.Signal(t, syscall.SIGUSR2)
		host.Output.Wait(t, 0, "the end of the reload", harness.Contains("reload done"))
		asksWhy(t, host, c.sid, why.Drained)
	})
}

// bye sends a close frame.
func (c *rawClient) bye(code ws.StatusCode) {
	c.t.Helper()
	if err := ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")))); err != nil {
		c.t.Fatal(err)
	}
}

// block sends an event whose handler blocks, and more than may wait behind it, once that has run for
// long.
func (c *rawClient) block(t *testing.T) {
	c.send(`42["block"]`)
	time.Sleep(1500 * time.Millisecond) // a handler that has run for long is the test's subject
	for range 3 {
		c.send(`42["block","` + strings.Repeat("x", 16<<10) + `"]`)
	}
}
