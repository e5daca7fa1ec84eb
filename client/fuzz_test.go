package client_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/client"
)

// hostile is a server that answers handshakes as it should, and then sends whatever it was told to.
type hostile struct {
	text  string // the answer to polls, or text messages
	raw   []byte // bytes after the WebSocket handshake
	frame bool   // raw is wrapped into one binary frame per 100 bytes
}

func (h hostile) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	theirs.SetDeadline(time.Now().Add(10 * time.Second))
	go h.serve(theirs)
	return ours, nil
}

func (h hostile) serve(conn net.Conn) {
	defer conn.Close()
	if _, err := (ws.Upgrader{}).Upgrade(conn); err != nil {
		return
	}
	go io.Copy(io.Discard, conn) // until closed
	for _, text := range []string{open("sid", ""), `40{"sid":"a","pid":"p"}`, h.text} {
		if ws.WriteFrame(conn, ws.NewTextFrame([]byte(text))) != nil {
			return
		}
	}
	if !h.frame {
		conn.Write(h.raw)
		return
	}
	for i := 0; i < len(h.raw); i += 100 {
		if ws.WriteFrame(conn, ws.NewBinaryFrame(h.raw[i:min(i+100, len(h.raw))])) != nil {
			return
		}
	}
}

// FuzzServer feeds a client with what no server sends: it must not panic, hang, or leave anything
// behind.
func FuzzServer(f *testing.F) {
	f.Add(`42["e",1]`, []byte("\x81\x05"+`42["x`), false)
	f.Add(`452-["e",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]`, []byte("two attachments"), true)
	f.Add(`461-0[{"_placeholder":true,"num":0}]`, []byte{1}, true)
	f.Add(`451-["e",{"_placeholder":true,"num":9}]`, []byte{1, 2}, true)
	f.Add(`430[1]`, []byte("\x01\x0242\x80\x05[\"e\"]"), false)
	f.Add(`44{"message":1}`, []byte("\x89\x00\x8a\x00\x88\x02\x03\xe8"), false)
	f.Add(`41`, []byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"), false)
	f.Add(`0{"sid":""}`, []byte("\xc1\x03abc"), false)
	f.Add(`42["connect"]`, []byte("\xf1\x03abc"), false)
	f.Add("2", []byte("\x81\x80mask"), false)
	f.Add("1", []byte{}, false)
	f.Fuzz(func(t *testing.T, text string, raw []byte, frame bool) {
		c, err := client.New(client.Config{
			URL: "http://hostile", Transports: []string{client.WebSocket}, Dial: hostile{text, raw, frame}.Dial,
			NoReconnection: true, MaxMessageBytes: 1 << 16, MaxQueueBytes: 1 << 16, PerMessageDeflate: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		s := c.Of("/")
		s.On("e", func(args client.Args, ack client.Ack) {
			if ack != nil {
				ack(args)
			}
		})
		s.On("x", func(a int, b []byte, c map[string]any) (int, error) { return a, nil })
		gone := make(chan string, 1)
		s.OnDisconnect(func(reason string, err error) {
			select {
			case gone <- reason:
			default:
			}
		})
		s.WithAck(func(client.Args, error) {}).Emit("asked")
		if err := s.Connect(t.Context()); err == nil {
			<-gone // the server closes after its last byte
		}
		c.Close()
	})
}

// FuzzPolls does the same with the answers to polls.
func FuzzPolls(f *testing.F) {
	f.Add(open("sid", ""), `40{"sid":"a"}`+"\x1e"+`42["e",1]`, 200)
	f.Add(open("sid", `"websocket"`), "b!!!!\x1e\x1e", 200)
	f.Add("0{}", "", 200)
	f.Add(`0{"sid":"x","pingInterval":1e300,"pingTimeout":-5,"maxPayload":-1,"upgrades":null}`, "2\x1e6\x1e1", 400)
	f.Add(`97:0{"sid":"x"}`, `{"code":1,"message":"Session ID unknown"}`, 400)
	f.Fuzz(func(t *testing.T, first, second string, status int) {
		c, err := client.New(client.Config{
			URL: "http://hostile", NoReconnection: true, MaxMessageBytes: 1 << 16,
			HTTP: &http.Client{Transport: answers{first, second, status}},
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrUnexpectedEOF },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		c.Of("/").Connect(ctx)
		c.Close()
	})
}

// answers answers the first request with one text, the next with another, and all others with 400.
type answers struct {
	first, second string
	status        int
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	text, status := a.first, http.StatusOK
	if r.URL.Query().Get("sid") != "" {
		text, status = a.second, 100+max(a.status, -a.status)%500
	}
	if r.Method == http.MethodPost {
		text, status = "ok", http.StatusOK
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}
