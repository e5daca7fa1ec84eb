package peer

import (
	"bufio"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// Peer is a client over WebSocket. It answers pings by itself.
type Peer struct {
	t    testing.TB
	conn net.Conn

	sending sync.Mutex
	mu      sync.Mutex
	queue   []string
	ended   bool
	news    chan struct{}
	reader  sync.WaitGroup
	mute    atomic.Bool
}

// Dial opens a session; query, like "&token=x", is added to the request's.
func (h *Host) Dial(query string) *Peer {
	h.t.Helper()
	d := ws.Dialer{NetDial: h.DialContext}
	conn, early, _, err := d.Dial(context.Background(), "ws://peer/socket.io/?EIO=4&transport=websocket"+query)
	if err != nil {
		h.t.Fatal(err)
	}
	p := &Peer{t: h.t, conn: conn, news: make(chan struct{}, 1)}
	var r io.Reader = conn
	if early != nil {
		r = io.MultiReader(early, conn)
	}
	p.reader.Go(func() { p.read(bufio.NewReader(r)) })
	h.t.Cleanup(p.Cut)
	p.Next() // the open packet
	return p
}

// Join opens a session and connects to a namespace; it returns the peer and its socket id.
func (h *Host) Join(namespace string) (*Peer, string) {
	h.t.Helper()
	p := h.Dial("")
	return p, p.Connect(namespace, "")
}

// Connect connects to a namespace, with auth if it is not empty, and returns the socket id.
func (p *Peer) Connect(namespace, auth string) string {
	p.t.Helper()
	head := ""
	if namespace != "/" {
		head = namespace + ","
	}
	p.Send("0" + head + auth)
	got := p.Next()
	if m := connected.FindStringSubmatch(got); m != nil && strings.HasPrefix(got, "0"+head) {
		return m[1]
	}
	p.t.Fatalf("connect to %s: got %q", namespace, got)
	return ""
}

var connected = regexp.MustCompile(`\{"sid":"([\w-]{20})"`)

// read queues what comes: text packets without the message type, attachments as "b:" and their
// bytes.
func (p *Peer) read(r *bufio.Reader) {
	defer func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.wake()
	}()
	for {
		f, err := ws.ReadFrame(r)
		if err != nil || f.Header.OpCode == ws.OpClose {
			return
		}
		text := string(f.Payload)
		switch {
		case f.Header.OpCode == ws.OpBinary:
			text = "b:" + text
		case text == "2" && p.mute.Load():
			continue
		case text == "2":
			go p.frame(ws.NewTextFrame([]byte("3")))
			continue
		case strings.HasPrefix(text, "4"):
			text = text[1:]
		}
		p.mu.Lock()
		p.queue = append(p.queue, text)
		p.mu.Unlock()
		p.wake()
	}
}

// Mute stops answering pings.
func (p *Peer) Mute() { p.mute.Store(true) }

func (p *Peer) wake() {
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *Peer) frame(f ws.Frame) {
	p.sending.Lock()
	defer p.sending.Unlock()
	_ = ws.WriteFrame(p.conn, ws.MaskFrameInPlace(f)) // a cut connection shows at the reader
}

// Send sends packets, each in a frame of its own.
func (p *Peer) Send(packets ...string) {
	for _, text := range packets {
		p.frame(ws.NewTextFrame([]byte("4" + text)))
	}
}

// SendTogether sends packets so that the server gets them in one read.
func (p *Peer) SendTogether(packets ...string) {
	var raw []byte
	for _, text := range packets {
		raw = append(raw, ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte("4"+text))))...)
	}
	p.sending.Lock()
	defer p.sending.Unlock()
	_, _ = p.conn.Write(raw) // a cut connection shows at the reader
}

// SendBinary sends an attachment.
func (p *Peer) SendBinary(b string) { p.frame(ws.NewBinaryFrame([]byte(b))) }

// Next is the next packet, or "closed" when the server has closed the connection.
func (p *Peer) Next() string {
	for {
		p.mu.Lock()
		if len(p.queue) > 0 {
			text := p.queue[0]
			p.queue = p.queue[1:]
			p.mu.Unlock()
			return text
		}
		ended := p.ended
		p.mu.Unlock()
		if ended {
			return "closed"
		}
		<-p.news
	}
}

// Want checks the next packets.
func (p *Peer) Want(packets ...string) {
	p.t.Helper()
	for _, want := range packets {
		if got := p.Next(); got != want {
			p.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// WantNothing checks that nothing has come. It is for bubbles, after synctest.Wait.
func (p *Peer) WantNothing() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 || p.ended {
		p.t.Fatalf("got %q (closed: %v), want nothing", p.queue, p.ended)
	}
}

// Cut cuts the connection and waits until the peer has ended.
func (p *Peer) Cut() {
	p.conn.Close()
	p.reader.Wait()
}
