//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
)

// publishers are the other servers that speak at a time. Redis takes 16 KB of each of them at a
// turn and then writes to its subscribers, so that with one of them subscribers were woken for some
// 75 messages, and what was measured was wakenings.
const publishers = 8

// volley publishes the same message over and over, on connections of its own, as fast as Redis
// takes it.
type volley struct {
	conns []net.Conn
	all   []byte // the commands that each of them gives in a round
	each  int    // how many these are
}

// openVolley prepares rounds of n messages.
func openVolley(ctx context.Context, addr string, m message, n int) (*volley, error) {
	each := n / publishers
	v := &volley{each: each, all: bytes.Repeat(fmt.Appendf(nil, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n",
		len(m.channel), m.channel, len(m.payload), m.payload), each)}
	for range publishers {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			v.close()
			return nil, err
		}
		v.conns = append(v.conns, c)
	}
	return v, nil
}

// fire publishes the messages of a round, and returns how many, once Redis has taken them all.
func (v *volley) fire() (int, error) {
	var g errgroup.Group
	for _, c := range v.conns {
		if err := c.SetDeadline(time.Now().Add(lossPatience)); err != nil {
			return 0, err
		}
		g.Go(func() error {
			_, err := c.Write(v.all)
			return err
		})
		g.Go(func() error { return answers(c, v.each) })
	}
	return v.each * publishers, g.Wait()
}

// answers reads n numbers.
func answers(c net.Conn, n int) error {
	var b [4096]byte
	for n > 0 {
		got, err := c.Read(b[:])
		if err != nil {
			return err
		}
		if bytes.IndexByte(b[:got], '-') >= 0 {
			return fmt.Errorf("publish refused by Redis: %q", b[:got])
		}
		n -= bytes.Count(b[:got], []byte("\n"))
	}
	return nil
}

func (v *volley) close() {
	for _, c := range v.conns {
		c.Close()
	}
}
