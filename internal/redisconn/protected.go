package redisconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// ErrProtected is the [ErrRights] of a Redis in protected mode.
var ErrProtected = fmt.Errorf("%w: it is in protected mode and answers only its own host; set a password there "+
	"(requirepass), or `protected-mode no` on a network that nobody else reaches", ErrRights)

const (
	deniedWord   = "-DENIED " // begins the one line that a Redis in protected mode says before it hangs up
	deniedWithin = 500 * time.Millisecond
)

// hungUp tells whether err means that Redis took the connection and ended it.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// protected asks a Redis that hung up on us whether it is in protected mode. It then speaks first,
// and closes: a client that has written by then mostly learns of a reset only, so this one connects
// and writes nothing.
func (c *Conn) protected(ctx context.Context) bool {
	for _, addr := range c.target.addrs {
		if c.saysDenied(ctx, addr) {
			return true
		}
	}
	return false
}

func (c *Conn) saysDenied(ctx context.Context, addr string) bool {
	conn, err := c.dial(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	_ = conn.SetReadDeadline(time.Now().Add(deniedWithin))
	said := make([]byte, len(deniedWord))
	_, err = io.ReadFull(conn, said)
	return err == nil && string(said) == deniedWord
}
