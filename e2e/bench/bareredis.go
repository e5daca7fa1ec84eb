//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bareRedis is the floor's way to other servers: one connection that publishes, one that reads, and
// as little between them and the clients as can be. It trusts Redis and never reconnects.
type bareRedis struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func dialBareRedis(url string, heard func(room string, text []byte)) *bareRedis {
	pub, sub := dialRedis(url), dialRedis(url)
	go func() { _, _ = io.Copy(io.Discard, pub) }() // until the connection ends
	if _, err := sub.Write([]byte("*2\r\n$10\r\nPSUBSCRIBE\r\n$13\r\nsocket.io#/#*\r\n")); err != nil {
		log.Fatal(err)
	}
	r := &bareReader{r: bufio.NewReaderSize(sub, 64<<10)}
	if r.array() != 3 { // the confirmation: two texts and a number
		log.Fatal("bare: not subscribed")
	}
	r.text()
	r.text()
	r.number(':')
	go func() {
		for {
			r.array()
			r.text() // pmessage
			r.text() // the pattern
			room := string(bytes.TrimSuffix(bytes.TrimPrefix(r.text(), []byte("socket.io#/#")), []byte("#")))
			heard(room, r.text())
		}
	}()
	return &bareRedis{out: bufio.NewWriterSize(pub, 64<<10)}
}

// dialRedis waits for a Redis that is just starting.
func dialRedis(url string) net.Conn {
	for end := time.Now().Add(dialTimeout); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "redis://"))
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			log.Fatal(err)
		}
	}
}

// publish writes n commands, and lets them go together.
func (b *bareRedis) publish(room, text string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	channel := "socket.io#/#" + room + "#"
	for range n {
		fmt.Fprintf(b.out, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(text), text)
	}
	if err := b.out.Flush(); err != nil {
		log.Fatal(err)
	}
}

// bareReader reads just enough of RESP. What text returns is valid until the next text.
type bareReader struct {
	r       *bufio.Reader
	scratch []byte
}

func (b *bareReader) number(kind byte) int {
	line, err := b.r.ReadSlice('\n')
	if err != nil || len(line) < 3 || line[0] != kind {
		log.Fatalf("bare: %q, %v", line, err)
	}
	n, err := strconv.Atoi(string(line[1 : len(line)-2]))
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func (b *bareReader) array() int { return b.number('*') }

func (b *bareReader) text() []byte {
	n := b.number('$') + 2
	if cap(b.scratch) < n {
		b.scratch = make([]byte, n)
	}
	if _, err := io.ReadFull(b.r, b.scratch[:n]); err != nil {
		log.Fatal(err)
	}
	return b.scratch[:n-2]
}
