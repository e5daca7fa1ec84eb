//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/gobwas/ws"
)

// runBare is the floor: a goroutine per connection around gobwas/ws that matches bytes and does
// nothing else. It speaks just enough for our clients: the open packet, the main namespace, echo,
// join, say and burst. It has no heartbeat, no limits, and no queue (a slow client would stop
// everybody). With REDIS_URL it is one of several, and a bare PUBLISH and SUBSCRIBE loop between
// them.
func runBare() {
	collectWhenAsked()
	l, err := net.Listen("tcp", os.Getenv("BENCH_ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	b := &bare{rooms: map[string][]*bareConn{}, room: map[*bareConn]string{}}
	if url := os.Getenv("REDIS_URL"); url != "" {
		b.others = dialBareRedis(url, b.hear)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go b.serve(c)
	}
}

type bare struct {
	mu    sync.RWMutex
	rooms map[string][]*bareConn // "" is everybody
	room  map[*bareConn]string

	others *bareRedis // nil: there are none
}

type bareConn struct {
	net.Conn
	out []byte // scratch of its goroutine
}

// elsewhere is what is published to a room of other servers.
var elsewhere = fmt.Sprintf(`42["said",{"msg":"%s"}]`, strings.Repeat("x", 128))

const (
	bareOpen  = `0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`
	bareHello = `40{"sid":"BBBBBBBBBBBBBBBBBBBB"}`
)

func (b *bare) serve(c net.Conn) {
	defer c.Close()
	br := bufio.NewReaderSize(c, 4096)
	upgrade := struct {
		io.Reader
		io.Writer
	}{br, c}
	if _, err := ws.Upgrade(upgrade); err != nil {
		return
	}
	bc := &bareConn{Conn: c}
	if bc.send(ws.OpText, bareOpen) != nil {
		return
	}
	b.join(bc, "")
	defer b.leave(bc)
	var payload []byte
	for {
		h, err := ws.ReadHeader(br)
		if err != nil || h.Length > 1e6 {
			return
		}
		if int64(cap(payload)) < h.Length {
			payload = make([]byte, h.Length)
		}
		payload = payload[:h.Length]
		if _, err := io.ReadFull(br, payload); err != nil {
			return
		}
		ws.Cipher(payload, h.Mask, 0)
		if h.OpCode == ws.OpClose || b.handle(bc, h.OpCode, payload) != nil {
			return
		}
	}
}

func (b *bare) handle(c *bareConn, op ws.OpCode, p []byte) error {
	switch {
	case op == ws.OpBinary: // the attachment of an echo
		return c.send(ws.OpBinary, string(p))
	case bytes.Equal(p, []byte("40")):
		return c.send(ws.OpText, bareHello)
	case !bytes.HasPrefix(p, []byte("4")):
		return nil
	}
	id, args := p[2:], []byte(nil) // 42<id>["event",...
	if i := bytes.IndexByte(p, '['); i > 0 {
		id, args = p[2:i], p[i:]
	}
	switch {
	case bytes.HasPrefix(args, []byte(`["echo",`)):
		c.out = append(append(append(c.out[:0], '4', p[1]+1), id...), '[') // 42 -> 43, 45 -> 46
		c.out = append(c.out, args[len(`["echo",`):]...)
		return c.send(ws.OpText, string(c.out))
	case bytes.HasPrefix(args, []byte(`["join",`)):
		b.join(c, string(bytes.Trim(args[len(`["join",`):], `"]`)))
	case bytes.HasPrefix(args, []byte(`["burst",`)):
		n, _ := strconv.Atoi(string(bytes.Trim(args[len(`["burst",`):], `]`)))
		for i := range n {
			if err := c.send(ws.OpText, fmt.Sprintf(`42["n",%d]`, i)); err != nil {
				return err
			}
		}
	case bytes.HasPrefix(args, []byte(`["publish",`)):
		n, _ := strconv.Atoi(string(bytes.Trim(args[len(`["publish",`):], `]`)))
		b.others.publish("elsewhere", elsewhere, n)
	case bytes.HasPrefix(args, []byte(`["say",`)):
		b.say(args)
	}
	return c.send(ws.OpText, fmt.Sprintf(`43%s["ok"]`, id))
}

// say sends one frame, built once, to everybody in the room.
func (b *bare) say(args []byte) {
	room := ""
	if _, rest, found := bytes.Cut(args, []byte(`"room":"`)); found {
		name, _, _ := bytes.Cut(rest, []byte(`"`))
		room = string(name)
	}
	object := bytes.TrimSuffix(args[len(`["say",`):], []byte("}]"))
	text := fmt.Sprintf(`42["said",%s,"from":"BBBBBBBBBBBBBBBBBBBB","worker":"AAAA"}]`, object)
	if b.others != nil {
		b.others.publish(room, text, 1) // comes back to us, too
		return
	}
	b.tell(room, []byte(text))
}

// hear takes what a server said, this one included.
func (b *bare) hear(room string, text []byte) {
	b.mu.RLock()
	anybody := len(b.rooms[room]) > 0
	b.mu.RUnlock()
	if anybody {
		b.tell(room, text)
	}
}

func (b *bare) tell(room string, text []byte) {
	frame := ws.MustCompileFrame(ws.NewTextFrame(text))
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, c := range b.rooms[room] {
		_, _ = c.Write(frame) // a connection that failed is noticed by its reader
	}
}

func (b *bare) join(c *bareConn, room string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rooms[room] = append(b.rooms[room], c)
	b.room[c] = room
}

func (b *bare) leave(c *bareConn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, room := range []string{"", b.room[c]} {
		members := b.rooms[room]
		for i, m := range members {
			if m == c {
				members[i] = members[len(members)-1]
				b.rooms[room] = members[:len(members)-1]
				break
			}
		}
	}
	delete(b.room, c)
}

func (c *bareConn) send(op ws.OpCode, text string) error {
	frame := make([]byte, 0, ws.MaxHeaderSize+len(text))
	frame = appendFrame(frame, byte(op), nil, text)
	_, err := c.Write(frame)
	return err
}
