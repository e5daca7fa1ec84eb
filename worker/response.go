package worker

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// response is the answer to a request on a conn. It is collected, and sent in one write. Engine.IO
// may park it: then Done sends it later. One goroutine at a time uses it.
type response struct {
	c        *conn
	header   http.Header
	status   int
	body     []byte // borrowed
	sent     bool
	later    bool // parked
	close    bool // the connection ends with it
	gone     func()
	left     bool      // the router has said that the client left; under c.mu
	deadline time.Time // for a router that doesn't read
}

func (r *response) Header() http.Header {
	if r.header == nil {
		r.header = make(http.Header, 4)
	}
	return r.header
}

func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.sent {
		return 0, http.ErrContentLength
	}
	r.body = append(bufpool.Grow(r.body, len(p)), p...)
	return len(p), nil
}

// Relay names the router that the request came over.
func (r *response) Relay() string { return r.c.peer.relay }

// ClientLeft reports whether the router has said so before it closed the connection.
func (r *response) ClientLeft() bool {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	return r.left
}

// FlushError sends the response, which must be complete. A parked response waits for Done.
func (r *response) FlushError() error {
	if r.later || r.sent {
		return nil
	}
	return r.send()
}

// SetWriteDeadline limits the write of the bytes that the kernel didn't accept at once.
func (r *response) SetWriteDeadline(t time.Time) error {
	r.deadline = t
	return nil
}

// SetReadDeadline does nothing: the request has arrived.
func (r *response) SetReadDeadline(time.Time) error { return nil }

// Park leaves the response to Done. If the router closes the connection before, gone is called.
func (r *response) Park(gone func()) {
	r.later, r.gone = true, gone
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.parked = r
}

// Done sends a parked response without blocking. After an error, gone isn't called.
func (r *response) Done() error { return r.send() }

// send writes the response.
func (r *response) send() error {
	r.sent = true
	out := r.compose()
	c := r.c
	c.mu.Lock()
	left, err := c.writeLocked(out)
	switch {
	case err != nil:
		r.left = c.heardLocked()
		c.closeLocked()
	case len(left) == 0 && (r.close || r.later && c.s.closing.Load()):
		c.closeLocked()
	}
	if err != nil || len(left) == 0 {
		if c.parked == r {
			c.parked = nil
		}
		c.mu.Unlock()
		bufpool.Put(out)
		return err
	}
	if !r.later {
		c.mu.Unlock()
		return r.sendRest(out, left)
	}
	c.rest = make(chan struct{})
	// Not after Unlock: the reading goroutine could end in between, and shutdown wait no more.
	c.s.tasks.Go(func() { _ = r.sendRest(out, left) }) // r.wrote has noted a failure
	c.mu.Unlock()
	return nil
}

// sendRest writes the bytes that the kernel didn't accept at once. If that fails for a parked
// response, its client counts as gone.
func (r *response) sendRest(out, left []byte) error {
	c := r.c
	c.nc.SetWriteDeadline(r.deadline)
	_, err := c.nc.Write(left)
	bufpool.Put(out)
	return r.wrote(err)
}

// wrote notes that the response is written, or that writing failed.
func (r *response) wrote(err error) error {
	c := r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rest != nil {
		close(c.rest)
		c.rest = nil
	}
	switch {
	case err != nil:
		c.closeLocked() // the reading goroutine finds r still parked
		return err
	case r.close || r.later && c.s.closing.Load():
		c.closeLocked()
	}
	if c.parked == r {
		c.parked = nil
	}
	return nil
}

// heardLocked reports whether the router has sent something since the request that waits: it says
// so that its client left.
func (c *conn) heardLocked() bool {
	if c.state == connClosed {
		return false
	}
	n, _, err := syscall.Recvfrom(c.fd, make([]byte, 1), syscall.MSG_PEEK) // the descriptor doesn't block
	return err == nil && n > 0
}

// writeLocked writes what the kernel accepts, and returns the rest.
func (c *conn) writeLocked(b []byte) ([]byte, error) {
	if c.state == connClosed {
		return nil, net.ErrClosed
	}
	n, err := netio.Write(c.fd, b)
	if err != nil {
		return nil, &net.OpError{Op: "write", Net: "unix", Err: err}
	}
	return b[n:], nil
}

// compose builds the response in a borrowed buffer.
func (r *response) compose() []byte {
	r.WriteHeader(http.StatusOK)
	out := append(bufpool.Get(512+len(r.body)), "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(r.status), 10)
	out = append(append(append(out, ' '), http.StatusText(r.status)...), "\r\n"...)
	for name, values := range r.header {
		if !http1.IsToken(name) || name == "Content-Length" {
			continue
		}
		for _, v := range values {
			if !http1.IsValue(v) {
				v = oneLine.Replace(v)
			}
			out = bufpool.Grow(out, len(name)+len(v)+4)
			out = append(append(append(append(out, name...), ": "...), v...), "\r\n"...)
			r.close = r.close || name == "Connection" && strings.EqualFold(v, "close")
		}
	}
	out = append(bufpool.Grow(out, 96+len(r.body)), "Date: "...)
	out = append(append(out, date(time.Now())...), "\r\n"...)
	if r.status != http.StatusNoContent {
		out = strconv.AppendInt(append(out, "Content-Length: "...), int64(len(r.body)), 10)
		out = append(out, "\r\n"...)
	}
	out = append(append(out, "\r\n"...), r.body...)
	if r.body != nil {
		bufpool.Put(r.body)
		r.body = nil
	}
	return out
}

// oneLine keeps the value of a header field on its line.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// dated is a second and its text in the Date field.
type dated struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dated]

// date returns the value of the Date field.
func date(now time.Time) string {
	d := lastDate.Load()
	if s := now.Unix(); d == nil || d.second != s {
		d = &dated{s, now.UTC().Format(http.TimeFormat)}
		lastDate.Store(d)
	}
	return d.text
}
