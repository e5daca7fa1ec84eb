package socketio_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// openPolling begins a session over polling and returns its sid.
func openPolling(t *testing.T, h *peer.Host) string {
	t.Helper()
	body := get(t, h, "/socket.io/?EIO=4&transport=polling")
	_, rest, ok := strings.Cut(body, `"sid":"`)
	sid, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatalf("handshake: %q", body)
	}
	return sid
}

func get(t *testing.T, h *peer.Host, target string) string {
	t.Helper()
	r, err := h.HTTP.Get("http://peer" + target)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, r)
}

func poll(t *testing.T, h *peer.Host, sid string) string {
	t.Helper()
	return get(t, h, "/socket.io/?EIO=4&transport=polling&sid="+sid)
}

func post(t *testing.T, h *peer.Host, sid, body string) {
	t.Helper()
	r, err := h.HTTP.Post("http://peer/socket.io/?EIO=4&transport=polling&sid="+sid, "text/plain;charset=UTF-8", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, r); got != "ok" {
		t.Fatalf("post: %d %q", r.StatusCode, got)
	}
}

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPolling(t *testing.T) {
	serve(t, socketio.Config{}, echo, func(t *testing.T, h *peer.Host) {
		sid := openPolling(t, h)
		post(t, h, sid, "40")
		if got := poll(t, h, sid); !strings.HasPrefix(got, `40{"sid":"`) {
			t.Fatalf("got %q", got)
		}
		post(t, h, sid, "421[\"echo\",1]\x1e422[\"echo\",2]\x1e451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQI=")
		synctest.Wait()
		if got, want := poll(t, h, sid), "431[1]\x1e432[2]\x1e451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQI="; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		h.IO.Volatile().Emit("lost")
		h.IO.Emit("kept")
		if got := poll(t, h, sid); got != `42["kept"]` {
			t.Errorf("got %q", got)
		}
	})
}

// A packet out of order ends the sockets of a polling client at once, although it is only told at
// its next poll.
func TestViolationBetweenPolls(t *testing.T) {
	for body, want := range map[string]string{
		`42/other,["e"]`: socketio.ReasonForcedServerClose,
		`42["e"`:         socketio.ReasonForcedClose,
	} {
		var reasons chan string
		serve(t, socketio.Config{}, func(io *socketio.Server) {
			reasons = make(chan string, 1)
			io.OnDisconnect(func(_ *socketio.Socket, reason string) { reasons <- reason })
		}, func(t *testing.T, h *peer.Host) {
			sid := openPolling(t, h)
			post(t, h, sid, "40")
			poll(t, h, sid)
			post(t, h, sid, body)
			if got := <-reasons; got != want {
				t.Errorf("%q: %q, want %q", body, got, want)
			}
			poll(t, h, sid)
		})
	}
}

func TestShutdown(t *testing.T) {
	var reasons chan string
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		reasons = make(chan string, 1)
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { reasons <- reason })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		synctest.Wait()
		h.Stop()
		p.Want("closed") // and no DISCONNECT packet: the client comes back
		if got := <-reasons; got != socketio.ReasonShuttingDown {
			t.Errorf("reason %q", got)
		}
	})
}

func TestPingTimeoutReason(t *testing.T) {
	var reasons chan string
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		reasons = make(chan string, 1)
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { reasons <- reason })
	}, func(t *testing.T, h *peer.Host) {
		sid := openPolling(t, h)
		post(t, h, sid, "40")
		poll(t, h, sid)
		start := time.Now()
		if got := <-reasons; got != socketio.ReasonPingTimeout || time.Since(start).Round(time.Second) != 45*time.Second {
			t.Errorf("reason %q after %v", got, time.Since(start))
		}
	})
}
