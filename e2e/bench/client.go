//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sources     = 16 // 127.0.0.2 and so on: for balancers that stick by address, and for enough ports
	dialTimeout = 20 * time.Second
)

// source is the i-th client's address.
func source(i int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%sources))} }

// dialer dials from the i-th client's address. The port is chosen at connect, so that addresses
// share ports.
func dialer(i int) *net.Dialer {
	return &net.Dialer{LocalAddr: source(i), Timeout: dialTimeout, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
	}}
}

// client is a Socket.IO client on a WebSocket that never was anything else, in the main namespace.
// Its sends may come from any goroutine, but each method's from one at a time.
type client struct {
	conn    net.Conn
	r       *bufio.Reader
	scratch []byte // for messages bigger than r
	tally   *tally

	sent  atomic.Int64 // acks asked for
	acked int64        // of the reader: the id that the next ack must have
	left  atomic.Int64 // of a closed loop: how often the reader still repeats
	again func(*client)
	out   []byte
}

// dial connects the i-th client of a system and joins the main namespace.
func dial(ctx context.Context, addr string, i int, deflate bool) (*client, error) {
	addr, secure := strings.CutPrefix(addr, overTLS)
	conn, err := dialer(i).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is the benchmark's own
	}
	c := newClient(conn)
	if err := c.open(addr, deflate); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func newClient(conn net.Conn) *client {
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 2048)}
}

func (c *client) open(addr string, deflate bool) error {
	if err := c.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	extension := ""
	if deflate {
		extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	}
	if err := c.shake(addr, "", extension); err != nil {
		return err
	}
	if err := c.expect("0{"); err != nil {
		return err
	}
	return c.join()
}

// shake makes the connection a WebSocket, of a session that has begun with polling if query names
// it.
func (c *client) shake(addr, query, extension string) error {
	if _, err := fmt.Fprintf(c.conn, "GET /socket.io/?EIO=4&transport=websocket%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", query, addr, extension); err != nil {
		return err
	}
	status, err := c.r.ReadString('\n')
	if err != nil || !strings.Contains(status, " 101 ") {
		return fmt.Errorf("upgrade: %q, %w", strings.TrimSpace(status), err)
	}
	for line := ""; line != "\r\n"; {
		if line, err = c.r.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}

// join joins the main namespace.
func (c *client) join() error {
	if err := c.send(opText, "40"); err != nil {
		return err
	}
	if err := c.expect("40{"); err != nil {
		return err
	}
	return c.conn.SetDeadline(time.Time{})
}

// expect reads one message that begins so.
func (c *client) expect(prefix string) (err error) {
	var op byte
	var p []byte
	if op, p, c.scratch, err = readFrame(c.r, c.scratch); err != nil {
		return err
	}
	if op&compressed != 0 { // Node deflates even the open packet
		return nil
	}
	if !strings.HasPrefix(string(p), prefix) {
		return fmt.Errorf("%q where %s was expected", p, prefix)
	}
	return nil
}

func (c *client) send(op byte, payload string) error {
	_, err := c.conn.Write(appendFrame(nil, op, clientMask, payload))
	return err
}

// ask emits an event that wants an ack. Args is the JSON array.
func (c *client) ask(args string) error {
	id := c.sent.Add(1) - 1
	_, err := c.conn.Write(appendFrame(nil, opText, clientMask, fmt.Sprintf("42%d%s", id, args)))
	return err
}

// askBinary is ask with one attachment.
func (c *client) askBinary(args, attachment string) error {
	id := c.sent.Add(1) - 1
	c.out = appendFrame(c.out[:0], opText, clientMask, fmt.Sprintf("451-%d%s", id, args))
	c.out = appendFrame(c.out, opBinary, clientMask, attachment)
	_, err := c.conn.Write(c.out)
	return err
}

// read counts what arrives into the tally until the connection ends: acks, which must come in
// order, events, and attachments. It answers pings.
func (c *client) read() {
	for {
		var op byte
		var p []byte
		var err error
		if op, p, c.scratch, err = readFrame(c.r, c.scratch); err != nil || op == opClose {
			return
		}
		switch {
		case op == opBinary || op&compressed != 0: // of a compressed one no more can be told than that it came
			c.tally.count(1)
		case op == opPing || len(p) == 0:
		case p[0] == '2':
			_ = c.send(opText, "3")
		case len(p) > 2 && p[1] == '2':
			c.tally.count(1)
		case len(p) > 2 && (p[1] == '3' || p[1] == '6'):
			c.ack(p)
		}
	}
}

func (c *client) ack(p []byte) {
	at := 2
	if p[1] == '6' {
		at = len("461-")
	}
	var id int64
	for ; at < len(p) && p[at] != '['; at++ {
		id = id*10 + int64(p[at]-'0')
	}
	if id != c.acked {
		c.tally.wrong.Add(1)
	}
	c.acked = id + 1
	if c.again != nil && c.left.Add(-1) >= 0 {
		c.again(c)
	}
	c.tally.count(1)
}

func (c *client) close() { c.conn.Close() }

// abort closes the connection by a reset, which leaves nothing behind in the kernel.
func (c *client) abort() {
	if t, ok := c.conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.conn.Close()
}
