package socketio_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

func TestDisconnectReasons(t *testing.T) {
	cases := []struct {
		name string
		do   func(h *peer.Host, p *peer.Peer)
		want string
		then []string
	}{
		{"41", func(_ *peer.Host, p *peer.Peer) { p.Send("1") }, socketio.ReasonClientDisconnect, nil},
		{"cut", func(_ *peer.Host, p *peer.Peer) { p.Cut() }, socketio.ReasonTransportClose, nil},
		{"server", func(_ *peer.Host, p *peer.Peer) { p.Send(`2["bye",false]`) }, socketio.ReasonServerDisconnect, []string{"1"}},
		{"server, closing", func(_ *peer.Host, p *peer.Peer) { p.Send(`2["bye",true]`) }, socketio.ReasonServerDisconnect, []string{"1", "1/other,", "closed"}},
		{"engine", func(h *peer.Host, _ *peer.Peer) {
			for s := range h.IO.Engine().Sessions() {
				s.Close()
			}
		}, socketio.ReasonForcedClose, []string{"closed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var heard chan string
			serve(t, socketio.Config{}, func(io *socketio.Server) {
				heard = make(chan string, 10)
				io.Of("/other")
				io.On("bye", func(s *socketio.Socket, closing bool) { s.Disconnect(closing) })
				io.OnConnect(func(s *socketio.Socket) { s.Join("room") })
				io.OnDisconnecting(func(s *socketio.Socket, reason string) {
					heard <- fmt.Sprint("disconnecting ", reason, s.Rooms()[1:], s.Connected(), s.Context().Err())
				})
				io.OnDisconnect(func(s *socketio.Socket, reason string) {
					s.Join("late")
					heard <- fmt.Sprint("disconnect ", reason, s.Rooms())
				})
			}, func(t *testing.T, h *peer.Host) {
				p, _ := h.Join("/")
				p.Connect("/other", "")
				c.do(h, p)
				if got, want := <-heard, "disconnecting "+c.want+"[room] false context canceled"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				if got, want := <-heard, "disconnect "+c.want+"[]"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				p.Want(c.then...)
			})
		})
	}
}

// TestSocketEndsBeforeItsClientIsTold: official clients close the connection at once, and that must
// neither become the reason nor leave a session behind to come back to.
func TestSocketEndsBeforeItsClientIsTold(t *testing.T) {
	var p *peer.Peer
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) { s.Join("room") })
		io.On("bye", func(s *socketio.Socket, closing bool) { go s.Disconnect(closing) }) // not held back until the handler returns
		io.OnRoom(func(e socketio.RoomEvent) {
			if e.Change == socketio.RoomLeft {
				synctest.Wait()
				p.WantNothing()
			}
		})
	}, func(t *testing.T, h *peer.Host) {
		for _, closing := range []bool{false, true} {
			p, _ = h.Join("/")
			p.Send(fmt.Sprintf(`2["bye",%v]`, closing))
			time.Sleep(time.Second)
			p.Want("1")
		}
	})
}

// Events that were received before the connection went are still handled, in order, and then the
// end is told.
func TestWaitingEventsPrecedeTheEnd(t *testing.T) {
	var heard []string
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("e", func(n int) {
			time.Sleep(time.Second)
			heard = append(heard, fmt.Sprint(n))
		})
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { heard = append(heard, reason) })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`2["e",1]`, `2["e",2]`, `2["e",3]`)
		synctest.Wait()
		p.Cut()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := strings.Join(heard, " "); got != "1 2 3 transport close" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestBroadcastsFromASocket(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("join", func(s *socketio.Socket, rooms ...string) []string { s.Join(rooms...); return s.Rooms()[1:] })
		io.On("leave", func(s *socketio.Socket, rooms ...string) []string { s.Leave(rooms...); return s.Rooms()[1:] })
		io.On("to", func(s *socketio.Socket, rooms, except []string) { s.To(rooms...).Except(except...).Emit("got") })
		io.On("all", func(s *socketio.Socket) { s.Broadcast().Emit("all") })
		io.On("end", func(s *socketio.Socket) { io.Emit("end") })
	}, func(t *testing.T, h *peer.Host) {
		a, aID := h.Join("/")
		b, _ := h.Join("/")
		c, _ := h.Join("/")
		for _, p := range []*peer.Peer{a, b} {
			p.Send(`20["join","r","s","r"]`)
			p.Want(`30[["r","s"]]`)
		}
		c.Send(`20["join","s"]`, `21["leave","x","s"]`, `22["join","t"]`)
		c.Want(`30[["s"]]`, `31[[]]`, `32[["t"]]`)
		a.Send(`2["to",["r","s","t"]]`, `2["to",["r","t"],["t"]]`, `2["to",["`+aID+`"]]`, `2["all"]`, `2["end"]`)
		a.Want(`2["end"]`)
		b.Want(`2["got"]`, `2["got"]`, `2["all"]`, `2["end"]`)
		c.Want(`2["got"]`, `2["all"]`, `2["end"]`)
	})
}

func TestRoomEvents(t *testing.T) {
	var heard []string
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.OnRoom(func(e socketio.RoomEvent) {
			name := e.Room
			if len(name) == 20 {
				name = "own"
			}
			heard = append(heard, fmt.Sprint([]string{"created", "joined", "left", "deleted"}[e.Change], " ", name))
		})
		io.OnConnect(func(s *socketio.Socket) { s.Join("r", "r"); s.Join("r") })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		synctest.Wait() // all is joined: changes at the same time would be told at the same time
		p.Cut()
		synctest.Wait()
		want := []string{"created own", "joined own", "created r", "joined r", "left own", "deleted own", "left r", "deleted r"}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q", heard)
		}
	})
}

// The messages of a handler leave together; those of others don't wait for a handler that blocks.
func TestHandlersHoldNobodyBack(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("slow", func(s *socketio.Socket) {
			s.Emit("begin")
			time.Sleep(time.Hour)
			s.Emit("end")
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		start := time.Now()
		p.Send(`2["slow"]`)
		p.Want(`2["begin"]`)
		h.IO.Emit("meanwhile")
		p.Want(`2["meanwhile"]`)
		if d := time.Since(start); d > 50*time.Millisecond {
			t.Errorf("held back for %v", d)
		}
		p.Want(`2["end"]`)
	})
}

func TestVolatileIsDroppedWhileTheClientIsNotReady(t *testing.T) {
	serve(t, socketio.Config{}, nil, func(t *testing.T, h *peer.Host) {
		sid := openPolling(t, h)
		post(t, h, sid, "40")
		poll(t, h, sid)
		for s := range h.IO.Sockets() {
			s.Volatile().Emit("lost")
			s.Volatile().Compress(false).Emit("lost")
			s.Compress(false).Emit("kept")
		}
		if got := poll(t, h, sid); got != `42["kept"]` {
			t.Errorf("got %q", got)
		}
	})
}

func TestClientBundle(t *testing.T) {
	text := "/*!\n * Socket.IO v4.8.4\n */" + strings.Repeat("x", 5000)
	files := fstest.MapFS{"socket.io.js": {Data: []byte(text)}, "socket.io.js.map": {Data: []byte("{}")}}
	serve(t, socketio.Config{ClientBundle: files}, func(io *socketio.Server) {
		io.Handle("/hello", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("page")) }))
	}, func(t *testing.T, h *peer.Host) {
		do := func(method, path string, header ...string) (*http.Response, string) {
			t.Helper()
			r, err := http.NewRequest(method, "http://peer"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			res, err := h.HTTP.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			return res, read(t, res)
		}
		r, body := do("GET", "/socket.io/socket.io.js?x=1")
		if r.StatusCode != 200 || body != text || r.Header.Get("ETag") != `"4.8.4"` || r.Header.Get("Cache-Control") != "public, max-age=0" ||
			r.Header.Get("Content-Type") != "application/javascript; charset=utf-8" {
			t.Errorf("%v %d bytes", r, len(body))
		}
		if r, body = do("POST", "/socket.io/socket.io.js.map"); r.StatusCode != 200 || body != "{}" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
			t.Errorf("map: %v %q", r, body)
		}
		for _, tag := range []string{`"4.8.4"`, `W/"4.8.4"`} {
			if r, body = do("GET", "/socket.io/socket.io.js", "If-None-Match", tag); r.StatusCode != 304 || body != "" || r.Header.Get("ETag") != "" {
				t.Errorf("with %s: %v", tag, r)
			}
		}
		for accept, want := range map[string]string{"br, gzip, deflate": "br", "gzip, deflate, br": "gzip", "gzip;q=0.5, deflate": "deflate", "gzip;q=0": "", "zstd": ""} {
			if r, body = do("GET", "/socket.io/socket.io.js", "Accept-Encoding", accept); r.Header.Get("Content-Encoding") != want || want != "" && len(body) > 500 {
				t.Errorf("%s: %v, %d bytes", accept, r.Header, len(body))
			}
		}
		if r, body = do("GET", "/socket.io/socket.io.min.js"); r.StatusCode != 404 || !strings.Contains(body, "ClientBundle") {
			t.Errorf("a file that is missing: %v %q", r, body)
		}
		if r, body = do("GET", "/socket.io/other.js"); r.StatusCode != 400 || !strings.Contains(body, `"code":0`) {
			t.Errorf("another name: %v %q", r, body)
		}
		if _, body = do("GET", "/hello"); body != "page" {
			t.Errorf("page: %q", body)
		}
		if r, _ = do("GET", "/elsewhere"); r.StatusCode != 404 {
			t.Errorf("elsewhere: %v", r)
		}
	})
}

func TestConfigRefusesWhatCannotBe(t *testing.T) {
	if _, err := socketio.New(socketio.Config{ConnectTimeout: -1, MaxAttachments: -1}); err == nil ||
		!strings.Contains(err.Error(), "timeout") || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
}

// A client that waits for an answer gets it before a drain ends its session, unless that takes too
// long.
func TestDrainLetsHandlersAnswer(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("work", func(d int) string { time.Sleep(time.Duration(d) * time.Second); return "done" })
	}, func(t *testing.T, h *peer.Host) {
		quick, _ := h.Join("/")
		slow, _ := h.Join("/")
		quick.Send(`20["work",1]`)
		slow.Send(`20["work",60]`)
		synctest.Wait()
		start := time.Now()
		drained := make(chan error, 1)
		go func() { drained <- h.IO.Drain(t.Context(), 0) }()
		quick.Want(`30["done"]`, "closed")
		if d := time.Since(start); d > 1500*time.Millisecond {
			t.Errorf("an idle session was closed after %v", d)
		}
		slow.Want("closed")
		if d := time.Since(start); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("a busy session was closed after %v", d)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}
