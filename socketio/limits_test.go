package socketio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestBreachesCloseTheConnection breaks each limit, and wants the connection closed and the breach
// counted under its name.
func TestBreachesCloseTheConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    socketio.Config
		breach func(p *peer.Peer)
		kind   string
		limit  string // in the log, with the value that was seen; empty: none
	}{
		{"events per second", socketio.Config{MaxEventsPerSecond: 10}, func(p *peer.Peer) {
			for range 3 {
				for range 10 {
					p.Send(`2["quiet"]`)
				}
				time.Sleep(time.Second)
			}
			synctest.Wait()
			for range 11 {
				p.Send(`2["quiet"]`)
			}
		}, "rate", "limit=MaxEventsPerSecond most=10 "},
		{"rooms", socketio.Config{MaxRooms: 2}, func(p *peer.Peer) {
			p.Send(`21["join","a"]`, `22["join","b"]`, `23["join","a"]`)
			p.Want("31[]", "32[]", "33[]")
			p.Send(`2["join","c"]`)
		}, "rooms", "limit=MaxRooms most=2 "},
		{"attachments in time", socketio.Config{AttachmentTimeout: time.Second}, func(p *peer.Peer) {
			p.Send(`51-["quiet",{"_placeholder":true,"num":0}]`)
			time.Sleep(900 * time.Millisecond)
			p.SendBinary("x")
			time.Sleep(time.Minute)
			p.Send(`52-["quiet",{"_placeholder":true,"num":0}]`)
			p.SendBinary("x")
		}, "attachments", "limit=AttachmentTimeout most=1s "},
		{"attachments of a parser in time", socketio.Config{AttachmentTimeout: time.Second, Parser: twoParts{}}, func(p *peer.Peer) {
			p.Send(`2["quiet"`)
			time.Sleep(900 * time.Millisecond)
			p.Send(`]`)
			time.Sleep(time.Minute)
			p.Send(`2["quiet"`)
		}, "attachments", "limit=AttachmentTimeout most=1s "},
		{"number of attachments", socketio.Config{MaxAttachments: 2}, func(p *peer.Peer) { p.Send(`53-["quiet"]`) }, "limit", "limit=MaxAttachments most=2 "},
		{"namespaces", socketio.Config{MaxNamespaces: 1}, func(p *peer.Peer) { p.Send(`0/other,`) }, "limit", "limit=MaxNamespaces most=1 "},
		{"an attachment named twice", socketio.Config{}, func(p *peer.Peer) {
			p.Send(`51-["quiet",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`)
		}, "malformed", ""},
		{"malformed", socketio.Config{}, func(p *peer.Peer) { p.Send(`2{}`) }, "malformed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			var lines bytes.Buffer // written by the server, which runs in the test's bubble
			c.cfg.Metrics, c.cfg.Log = registry, slog.New(slog.NewTextHandler(&lines, nil))
			serve(t, c.cfg, func(io *socketio.Server) {
				io.Of("/other")
				io.On("join", func(s *socketio.Socket, room string) error { s.Join(room); return nil })
			}, func(t *testing.T, h *peer.Host) {
				p, _ := h.Join("/")
				synctest.Wait()
				if counted(t, registry, c.kind) != 0 {
					t.Error("counted before the breach")
				}
				c.breach(p)
				p.Want("closed")
				if got := counted(t, registry, c.kind); got != 1 {
					t.Errorf("%s was counted %v times", c.kind, got)
				}
				if text := lines.String(); strings.Contains(text, "exceeded a limit") != (c.limit != "") || !strings.Contains(text, c.limit) {
					t.Errorf("logged %q, want %s", text, c.limit)
				}
			})
		})
	}
}

// counted is how many violations of a kind were counted.
func counted(t *testing.T, registry *prometheus.Registry, kind string) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "sidereal_socketio_violations_total" && l.GetValue() == kind {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

func TestPendingAcksAreBounded(t *testing.T) {
	serve(t, socketio.Config{MaxPendingAcks: 2}, func(io *socketio.Server) {
		io.On("ask", func(s *socketio.Socket) {
			s.Go(func(ctx context.Context) {
				if _, err := s.Timeout(time.Second).EmitWithAck(ctx, "q"); err != nil {
					s.Emit("failed", err.Error())
				}
			})
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`2["ask"]`)
		p.Want(`20["q"]`)
		p.Send(`2["ask"]`)
		p.Want(`21["q"]`)
		p.Send(`2["ask"]`)
		p.Want(`2["failed","` + socketio.ErrTooManyAcks.Error() + `"]`)
		p.Send(`30[]`, `2["ask"]`)
		p.Want(`22["q"]`)
		time.Sleep(2 * time.Second)
		p.Want(`2["failed","operation has timed out"]`, `2["failed","operation has timed out"]`)
		p.Send(`2["ask"]`)
		p.Want(`23["q"]`)
	})
}

// TestMalformedPacketsReachOnError: the app is told before the connection ends, and what it emits
// still arrives.
func TestMalformedPacketsReachOnError(t *testing.T) {
	for in, want := range map[string]string{
		`2{}`: "invalid payload", `9`: "unknown packet type", `5x-["e"]`: "Illegal attachments", `2["e"`: "invalid payload",
	} {
		serve(t, socketio.Config{}, func(io *socketio.Server) {
			io.OnError(func(s *socketio.Socket, event string, err error) {
				var bad *socketio.PacketError
				s.Emit("errored", event, err.Error(), errors.As(err, &bad))
			})
		}, func(t *testing.T, h *peer.Host) {
			p, _ := h.Join("/")
			p.Send(in)
			p.Want(`2["errored","","`+want+`",true]`, "closed")
		})
	}
}

func TestABlockedOnErrorDoesNotKeepTheConnection(t *testing.T) {
	var release chan struct{}
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		release = make(chan struct{})
		io.OnError(func(*socketio.Socket, string, error) { <-release })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		start := time.Now()
		p.Send(`2{}`, `2["not looked at"]`)
		p.Want("closed")
		if took := time.Since(start); took != time.Second {
			t.Errorf("closed after %v", took)
		}
		close(release)
	})
}

// TestClientEventNamedError: an event like any other, which does not reach OnError.
func TestClientEventNamedError(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.OnError(func(s *socketio.Socket, _ string, _ error) { s.Emit("errored") })
		io.On("error", func(text string) string { return "got " + text })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`27["error","x"]`)
		p.Want(`37["got x"]`)
	})
}

func TestGoRunsBesideTheEvents(t *testing.T) {
	var ended atomic.Bool
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		echo(io)
		io.On("go", func(s *socketio.Socket) {
			s.Go(func(ctx context.Context) {
				<-ctx.Done()
				ended.Store(true)
			})
			s.Go(func(context.Context) { panic("contained") })
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`2["go"]`, `2["echo"]`)
		p.Want(`2["echo"]`)
		p.Cut()
		synctest.Wait()
		if !ended.Load() {
			t.Error("the context did not end with the socket")
		}
	})
}

func TestTrace(t *testing.T) {
	type key struct{}
	var log []string
	note := make(chan string, 100)
	cfg := socketio.Config{Trace: &socketio.Trace{
		Received: func(_ *engineio.Session, h packet.Header, bytes int) {
			note <- fmt.Sprint("received ", h.Type, " ", h.Namespace, bytes)
		},
		Sent: func(_ *engineio.Session, h packet.Header, bytes int) { note <- fmt.Sprint("sent ", h.Type, " ", h.ID) },
		Handle: func(ctx context.Context, s *socketio.Socket, event string, args socketio.Args) (context.Context, func(error)) {
			note <- fmt.Sprint("begin ", event, args.Len())
			return context.WithValue(ctx, key{}, "span"), func(err error) { note <- fmt.Sprint("end ", err) }
		},
	}}
	serve(t, cfg, func(io *socketio.Server) {
		io.On("e", func(ctx context.Context, n int) (string, error) {
			if n == 0 {
				return "", errors.New("none")
			}
			return ctx.Value(key{}).(string), nil
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`27["e",1]`)
		p.Want(`37["span"]`)
		p.Send(`28["e",0]`)
		p.Want(`38[{"error":"internal error"}]`)
		synctest.Wait()
		for len(note) > 0 {
			log = append(log, <-note)
		}
	})
	want := []string{
		"received CONNECT /1", "sent CONNECT -1",
		"received EVENT /9", "begin e1", "sent ACK 7", "end <nil>",
		"received EVENT /9", "begin e1", "sent ACK 8", "end none",
	}
	if !slices.Equal(log, want) {
		t.Errorf("got %s", strings.Join(log, "\n"))
	}
}

func TestForeignUpgradesAreNotAnswered(t *testing.T) {
	for _, c := range []struct {
		timeout time.Duration
		path    string
		want    string
		after   time.Duration
	}{
		{0, "/elsewhere", "", time.Second},
		{300 * time.Millisecond, "/elsewhere", "", 300 * time.Millisecond},
		{-1, "/elsewhere", "404", 0},
		{0, "/page", "200", 0},
	} {
		serve(t, socketio.Config{DestroyUpgradeTimeout: c.timeout}, func(io *socketio.Server) {
			io.Handle("/page", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
		}, func(t *testing.T, h *peer.Host) {
			start := time.Now()
			r, err := http.NewRequest("GET", "http://peer"+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			got := ""
			if res, err := h.HTTP.Do(r); err == nil {
				got = res.Status[:3]
				res.Body.Close()
			}
			if got != c.want || time.Since(start) != c.after {
				t.Errorf("%s with %v: %q after %v", c.path, c.timeout, got, time.Since(start))
			}
		})
	}
}

// twoParts is a parser whose clients send an event in two messages, the second of which is its last
// byte.
type twoParts struct{}

func (twoParts) Encode(p packet.Packet) []packet.Message {
	return []packet.Message{{Data: packet.Append(nil, p.Header, p.Payload.JSON)}}
}

func (twoParts) NewDecoder() packet.Decoder { return new(halfPacket) }

type halfPacket struct{ text []byte }

func (d *halfPacket) Decode(data []byte, _ bool) (p packet.Packet, whole bool, err error) {
	d.text = append(d.text, data...)
	p.Header, p.Payload.JSON, err = packet.Parse(d.text)
	if err != nil || p.Type == packet.Event && d.text[len(d.text)-1] != ']' {
		return p, false, err
	}
	d.text = nil
	return p, true, nil
}
