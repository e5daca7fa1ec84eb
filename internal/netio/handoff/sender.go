package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Sender is a router's end of one worker's handoff socket.
type Sender struct {
	worker    string
	untouched bool
	behind    atomic.Int64 // Unix nanoseconds when the worker was first seen behind; 0: it is not
	link      link
	c         *net.UnixConn
	done      chan struct{}
	once      sync.Once
}

// link is how connections cross: packetLink on Linux, streamLink elsewhere.
type link interface {
	pass(c syscall.Conn, m *Meta) error
	open(ctx context.Context) (net.Conn, error)
	waiting() bool // something that was passed is not taken yet
}

// Dial connects to the handoff socket at path and checks that workerID answers there. ErrDead:
// nobody does; ErrWrongWorker: another worker does; a worker that is stopped runs into ctx's end,
// or 5 s.
func Dial(ctx context.Context, path, workerID string) (*Sender, error) {
	return dial(ctx, defaultNetwork, path, workerID)
}

func dial(ctx context.Context, network, path, workerID string) (*Sender, error) {
	c, untouched, err := connect(ctx, network, path, workerID)
	if err != nil {
		return nil, err
	}
	s := &Sender{worker: workerID, untouched: untouched, c: c, done: make(chan struct{})}
	if network == "unix" {
		if _, err := c.Write([]byte{streamWatch}); err != nil {
			c.Close()
			return nil, fmt.Errorf("handoff: worker %s: %w", workerID, ErrDead)
		}
		s.link = &streamLink{path: path, worker: workerID}
	} else if s.link, err = newPacketLink(c, workerID); err != nil {
		c.Close()
		return nil, err
	}
	go s.watch()
	return s, nil
}

// connect dials and reads the greeting.
func connect(ctx context.Context, network, path, workerID string) (c *net.UnixConn, untouched bool, err error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, path)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
			return nil, false, fmt.Errorf("handoff: worker %s: %w", workerID, ErrDead)
		}
		return nil, false, fmt.Errorf("handoff: worker %s: %w", workerID, err)
	}
	c = nc.(*net.UnixConn)
	if untouched, err = greet(ctx, c, network, workerID); err != nil {
		c.Close()
		return nil, false, fmt.Errorf("handoff: worker %s: %w", workerID, err)
	}
	return c, untouched, nil
}

func greet(ctx context.Context, c *net.UnixConn, network, workerID string) (untouched bool, err error) {
	if err := sameUser(c); err != nil {
		return false, err
	}
	deadline := time.Now().Add(handshakeTimeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.SetReadDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, maxGreeting)
	var n int
	if network == "unix" {
		n, err = io.ReadFull(c, b[:len(greeting)+1+len(workerID)])
	} else {
		n, err = c.Read(b)
	}
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
			return false, ErrDead // it ended between our connect and its accept
		}
		return false, err
	}
	id, untouched, err := parseGreeting(b[:n])
	if err != nil {
		return false, err
	}
	if id != workerID {
		return false, ErrWrongWorker
	}
	if !stop() {
		return false, ctx.Err() // it has set, or is about to set, a deadline that is over
	}
	return untouched, c.SetReadDeadline(time.Time{})
}

// watch ends when the worker closes its end: nothing is ever sent this way after the greeting.
func (s *Sender) watch() {
	var b [1]byte
	_, _ = s.c.Read(b[:])
	s.once.Do(func() { s.c.Close() })
	close(s.done)
}

// WorkerID is the worker that answers.
func (s *Sender) WorkerID() string { return s.worker }

// Untouched reports whether the worker takes connections of kind Client only as they came: see
// [ListenUntouched].
func (s *Sender) Untouched() bool { return s.untouched }

// Done is closed when the worker, or Close, has ended the connection to it.
func (s *Sender) Done() <-chan struct{} { return s.done }

// Pass gives c to the worker, with m. It never waits. On success the connection is the worker's and
// the caller closes its own copy, without a shutdown; on any error the caller has the connection as
// before.
func (s *Sender) Pass(c syscall.Conn, m Meta) error {
	select {
	case <-s.done:
		return ErrDead
	default:
		if s.untouched && m.Kind == Client && len(m.Head) > 0 {
			return ErrTouched
		}
		return s.link.pass(c, &m)
	}
}

// Open makes a connection of kind Local into the worker. While the worker does not keep up it waits
// for ctx, and then fails with ErrFull.
func (s *Sender) Open(ctx context.Context) (net.Conn, error) {
	select {
	case <-s.done:
		return nil, ErrDead
	default:
		return s.link.open(ctx)
	}
}

// Behind is for how long the worker has not taken everything that was passed to it, as far as calls
// have seen: a sign that its process is stopped or starved, long before the socket is full.
func (s *Sender) Behind(now time.Time) time.Duration {
	if !s.link.waiting() {
		s.behind.Store(0)
		return 0
	}
	s.behind.CompareAndSwap(0, now.UnixNano())
	return time.Duration(max(now.UnixNano()-s.behind.Load(), 0))
}

// Close ends the connection to the worker. Connections that were passed or opened live on.
func (s *Sender) Close() error {
	var err error
	s.once.Do(func() { err = s.c.Close() })
	<-s.done
	return err
}
