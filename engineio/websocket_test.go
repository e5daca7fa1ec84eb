package engineio

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// drive runs a test over each kind of connection.
func drive(t *testing.T, cfg Config, test func(t *testing.T, f *fixture)) {
	for _, d := range drives {
		t.Run(d, func(t *testing.T) { test(t, serve(t, cfg, d)) })
	}
}

func TestHandshakeOverWebSocket(t *testing.T) {
	drive(t, Config{
		NewSID:         func(*http.Request) (string, error) { return "abc", nil },
		InitialPacket:  NewText([]byte("hello")),
		Cookie:         &Cookie{},
		InitialHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Initial", "1") },
		Headers:        func(h http.Header, _ *http.Request) { h.Set("X-Each", "1") },
	}, func(t *testing.T, f *fixture) {
		c, resp := f.upgrade("EIO=4&transport=websocket", "Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Extensions: permessage-deflate\r\n")
		if resp.StatusCode != 101 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		for name, want := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
			"Sec-Websocket-Protocol": "one", "Sec-Websocket-Extensions": "", "X-Initial": "1", "X-Each": "1", "Set-Cookie": "",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		c.want(`0{"sid":"abc","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
		c.want("4hello")
		if s := f.session().s; s.Transport() != WebSocket {
			t.Errorf("transport %s", s.Transport())
		}
	})
}

func TestMessagesOverWebSocket(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		r := f.session()
		c.send("4hello")
		c.Write(frame(finBit|opBinary, []byte{1, 2}))
		c.Write(frame(finBit|opBinary, nil))
		c.send("bAQI=") // a text frame may hold a binary message too
		c.send("1")     // ignored: the client closes the connection itself
		c.send("0")
		c.send("4\u20ac")
		for _, want := range []string{"hello", "b:\x01\x02", "b:", "b:\x01\x02", "\u20ac"} {
			r.wantMessage(t, want)
		}
		r.s.Send(NewText([]byte("a")), NewBinary([]byte{3}))
		c.want("4a")
		if op, data := c.next(); op != opBinary || !bytes.Equal(data, []byte{3}) {
			t.Errorf("opcode %d, %v", op, data)
		}
		c.Close()
		r.wantClosed(t, TransportClose)
	})
}

// Bytes that the client sends in the same segment as its handshake are not lost.
func TestBytesBehindTheHandshake(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		f.websocket("", append(text("4one"), text("4two")[:3]...)...).Write(text("4two")[3:])
		r := f.session()
		r.wantMessage(t, "one")
		r.wantMessage(t, "two")
	})
}

// prefixed is a connection that was begun with bytes in hand, as one that another process has
// passed on.
type prefixed struct {
	*net.TCPConn
	head []byte
}

func (p *prefixed) Buffered() int { return len(p.head) }

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.TCPConn.Read(b)
	}
	n := copy(b, p.head)
	p.head = p.head[n:]
	return n, nil
}

func TestBytesInHandOfAPassedConnection(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	// More than net/http's buffer holds, so that some is left in the connection.
	long := strings.Repeat("x", 6000)
	head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n" + string(text("4"+long)) + string(text("4end"))
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	one := newPipeListener()
	hs := &http.Server{Handler: f.srv}
	done := make(chan struct{})
	go func() { hs.Serve(one); close(done) }()
	one.Give(&prefixed{conn.(*net.TCPConn), []byte(head)})
	r := f.session()
	r.wantMessage(t, long)
	r.wantMessage(t, "end")
	client.Close()
	r.wantClosed(t, TransportClose)
	hs.Close()
	<-done
}

func TestBreaches(t *testing.T) {
	big := bytes.Repeat([]byte("a"), 101)
	for _, c := range []struct {
		name   string
		send   []byte
		code   uint16
		reason string
	}{
		{"not a packet", text("x"), 0, ParseError},
		{"empty text", text(""), 0, ParseError},
		{"ping packet", text("2"), 0, TransportError},
		{"too big", frame(finBit|opText, big), 1009, TransportError},
		{"too big, announced only", frame(finBit|opBinary, make([]byte, 1<<20))[:14], 1009, TransportError},
		{"too big in fragments", append(frame(opText, big[:60]), frame(finBit|opContinuation, big[:60])...), 1009, TransportError},
		{"negative length", []byte{finBit | opBinary, maskBit | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 1002, TransportError},
		{"invalid UTF-8", frame(finBit|opText, []byte("4\xff")), 1007, TransportError},
		{"invalid UTF-8 across fragments", append(frame(opText, []byte("4\xe2")), frame(finBit|opContinuation, []byte("(("))...), 1007, TransportError},
		{"not masked", []byte{finBit | opText, 1, '3'}, 1002, TransportError},
		{"reserved bit", frame(finBit|0x20|opText, []byte("4")), 1002, TransportError},
		{"compressed, not negotiated", frame(finBit|rsv1Bit|opText, []byte("4")), 1002, TransportError},
		{"reserved opcode", frame(finBit|0x3, nil), 1002, TransportError},
		{"reserved control opcode", frame(finBit|0xb, nil), 1002, TransportError},
		{"fragmented ping", frame(opPing, nil), 1002, TransportError},
		{"long ping", frame(finBit|opPing, make([]byte, 126)), 1002, TransportError},
		{"continuation of nothing", frame(finBit|opContinuation, []byte("4")), 1002, TransportError},
		{"text within a fragmented text", append(frame(opText, []byte("4")), text("4")...), 1002, TransportError},
		{"close of one byte", frame(finBit|opClose, []byte{3}), 1002, TransportError},
		{"close code 1005", frame(finBit|opClose, []byte{3, 237}), 1002, TransportError},
		{"close code 999", frame(finBit|opClose, []byte{3, 231}), 1002, TransportError},
		{"close reason not UTF-8", frame(finBit|opClose, []byte{3, 232, 0xff}), 1007, TransportError},
	} {
		t.Run(c.name, func(t *testing.T) {
			drive(t, Config{MaxHTTPBufferSize: 100}, func(t *testing.T, f *fixture) {
				client := f.websocket("")
				r := f.session()
				client.Write(append(text("4before"), c.send...))
				client.wantClose(c.code)
				r.wantMessage(t, "before")
				r.wantClosed(t, c.reason)
			})
		})
	}
}

func TestClientCloses(t *testing.T) {
	for name, payload := range map[string][]byte{"no code": nil, "1000": {3, 232}, "4000 and text": append([]byte{15, 160}, "bye"...)} {
		t.Run(name, func(t *testing.T) {
			drive(t, Config{}, func(t *testing.T, f *fixture) {
				c := f.websocket("")
				c.Write(append(frame(finBit|opClose, payload), text("4ignored")...))
				op, data := c.next()
				if op != opClose || !bytes.Equal(data, payload) {
					t.Errorf("opcode %d, %v; want the close frame back", op, data)
				}
				if op, _ := c.next(); op != 0xff {
					t.Errorf("opcode %d, want the end", op)
				}
				r := f.session()
				r.wantClosed(t, TransportClose)
				if len(r.messages) != 0 {
					t.Error("something was received after the close frame")
				}
			})
		})
	}
}

func TestServerCloses(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		r := f.session()
		r.s.Send(NewText([]byte("last")))
		r.s.Close()
		r.s.Close()
		r.wantClosed(t, ForcedClose)
		c.want("4last")
		c.wantClose(0)
		if f.srv.Len() != 0 {
			t.Error("the session is still there")
		}
	})
}

// Close from within Receive: nothing more is received, and Closed follows.
func TestCloseWithinReceive(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		r := f.session()
		c.Write(append(text("4close"), text("4b")...))
		c.wantClose(0)
		r.wantClosed(t, ForcedClose)
		r.wantMessage(t, "close")
		if len(r.messages) != 0 {
			t.Error("received something after Close")
		}
	})
}

func TestUpgradeRequestForPolling(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c, resp := f.upgrade("EIO=4&transport=polling", "")
		if resp.StatusCode != 101 {
			t.Errorf("status %d", resp.StatusCode)
		}
		c.wantClose(0)
		if f.srv.Len() != 0 {
			t.Error("a session was begun")
		}
	})
}

// A slow reader costs a queue, and its session when that is full; big messages arrive whole.
func TestSlowWebSocket(t *testing.T) {
	drive(t, Config{MaxQueueBytes: 8 << 20}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		r := f.session()
		big := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB
		const n = 6
		for i := range n {
			if err := r.s.Send(NewBinary(big), NewText([]byte(sprint(i)))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if op, data := c.next(); op != opBinary || !bytes.Equal(data, big) {
				t.Fatalf("message %d: opcode %d, %d bytes", i, op, len(data))
			}
			c.want("4" + sprint(i))
		}
		var err error
		for i := 0; err == nil && i < 100; i++ {
			err = r.s.Send(NewBinary(big))
		}
		if err != ErrSlowClient {
			t.Errorf("sending without end: %v", err)
		}
		r.wantClosed(t, TransportError)
	})
}

// A client that sends pings and reads nothing is dropped long before its pongs take much more than
// the queue may.
func TestPingFlood(t *testing.T) {
	bubble(t, Config{MaxQueueBytes: 100 * messageBytes}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		r := f.session()
		ping, pings := frame(finBit|opPing, nil), 0
		for ; ; pings++ {
			if _, err := c.Write(ping); err != nil {
				break
			}
			synctest.Wait() // the connection of a client that was dropped is read and ignored until it is closed
		}
		r.wantClosed(t, TransportError)
		if r.err != ErrSlowClient {
			t.Errorf("closed with %v", r.err)
		}
		if pings > 250 {
			t.Errorf("%d pings were taken", pings)
		}
	})
}

// A message larger than the queue is sent all the same, also when it comes behind others under a
// cork.
func TestLargeMessageUnderACork(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	f := serve(t, Config{MaxQueueBytes: 1000}, onPoller)
	c := f.websocket("")
	s := f.session().s
	s.Cork()
	s.Send(NewText([]byte("small")))
	if err := s.Send(NewBinary(big)); err != nil {
		t.Error(err)
	}
	s.Uncork()
	c.want("4small")
	if op, data := c.next(); op != opBinary || !bytes.Equal(data, big) {
		t.Errorf("opcode %d, %d bytes", op, len(data))
	}
}

// Corked messages, many and large, are gathered by writev as well.
func TestManyFramesInOneFlush(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		s := f.session().s
		var want []string
		s.Cork()
		for i := range 300 {
			m := strings.Repeat(sprint(i), i*7)
			want = append(want, "4"+m)
			s.Send(NewText([]byte(m)))
		}
		s.Uncork()
		for _, w := range want {
			c.want(w)
		}
	})
}

// countingLink counts the writes that go through it.
type countingLink struct {
	link
	writes atomic.Int32
}

func (l *countingLink) write(b []byte) (int, error) { l.writes.Add(1); return l.link.write(b) }

func (l *countingLink) writev(v [][]byte) (int, error) { l.writes.Add(1); return l.link.writev(v) }

func TestEchoLeavesInOneWrite(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	c := f.websocket("")
	s := f.session().s
	s.mu.Lock()
	counted := &countingLink{link: s.ws.link}
	s.ws.link = counted
	s.mu.Unlock()
	var in, want []byte
	for i := range 20 {
		m := "4echo:" + sprint(i)
		in = append(in, text(m)...)
		want = append(append(want, finBit|opText, byte(len(m))), m...)
	}
	c.Write(in)
	got := make([]byte, len(want)+100)
	n, err := io.ReadAtLeast(c.r, got, len(want))
	if err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("%q, %v", got[:n], err)
	}
	if n := counted.writes.Load(); n != 1 {
		t.Errorf("%d writes, want 1", n)
	}
}

func TestPerMessageDeflate(t *testing.T) {
	const offer = "Sec-WebSocket-Extensions: x-other, permessage-deflate; client_max_window_bits\r\n"
	drive(t, Config{PerMessageDeflate: &PerMessageDeflate{}, MaxHTTPBufferSize: 1 << 16}, func(t *testing.T, f *fixture) {
		c, resp := f.upgrade("EIO=4&transport=websocket", offer)
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != deflateAnswer {
			t.Errorf("extensions %q", got)
		}
		c.next()
		r := f.session()
		long := strings.Repeat("long enough, ", 200)
		m := NewText([]byte(long))
		r.s.Send(NewText([]byte("short")), m, NewText([]byte(long)).Compress(false), m)
		c.want("4short")
		for i, deflated := range []bool{true, false, true} {
			op, data := c.next()
			if deflated {
				if op != opText|rsv1Bit || len(data) > 200 {
					t.Fatalf("message %d: opcode %d, %d bytes", i, op, len(data))
				}
				var err error
				if data, err = inflate(data, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			if string(data) != "4"+long {
				t.Errorf("message %d: %q", i, data)
			}
		}
		fr := deflateFrame(opText, []byte("4"+long))
		payload := fr[len(fr)-int(serverPayload(fr)):]
		c.Write(frame(finBit|rsv1Bit|opText, payload))
		c.Write(append(frame(rsv1Bit|opText, payload[:5]), frame(finBit|opContinuation, payload[5:])...))
		r.wantMessage(t, long)
		r.wantMessage(t, long)
		bomb := deflateFrame(opBinary, make([]byte, 1<<20))
		c.Write(frame(finBit|rsv1Bit|opBinary, bomb[len(bomb)-int(serverPayload(bomb)):]))
		c.wantClose(1009)
		r.wantClosed(t, TransportError)
		c, _ = f.upgrade("EIO=4&transport=websocket", offer)
		c.next()
		c.Write(frame(finBit|rsv1Bit|opText, []byte("garbage")))
		c.wantClose(1007)
	})
}

func serverPayload(f []byte) uint64 {
	switch f[1] {
	case 126:
		return uint64(binary.BigEndian.Uint16(f[2:]))
	case 127:
		return binary.BigEndian.Uint64(f[2:])
	}
	return uint64(f[1])
}

func TestDeflateOffers(t *testing.T) {
	for offer, want := range map[string]bool{
		"permessage-deflate": true, " permessage-deflate ; client_max_window_bits=10": true,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover": true,
		"permessage-deflate; server_max_window_bits=15":                              true,
		"permessage-deflate; server_max_window_bits=10":                              false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":          true,
		"permessage-deflate; unknown":                                                false, "x-webkit-deflate-frame": false, "": false,
	} {
		if got := acceptsDeflate([]string{offer}); got != want {
			t.Errorf("%q: %t", offer, got)
		}
	}
}
