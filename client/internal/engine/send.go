package engine

import (
	"bytes"
	"sync"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// maxCorked is the number of bytes that a corked WebSocket gathers before it writes.
const maxCorked = 16 << 10

// frames has buffers for frames that are written at once.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// Send sends packets, contiguously and in the order of the calls. The data is copied. It never
// blocks.
func (c *Conn) Send(ps ...packet.Packet) error {
	size := 0
	for _, p := range ps {
		size += len(p.Data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.reason != "" || c.closing:
		return ErrClosed
	case c.queued > 0 && c.queued+size > c.cfg.MaxQueue:
		return ErrFull
	case c.ws == nil:
		for _, p := range ps {
			p.Data = bytes.Clone(p.Data)
			c.queue = append(c.queue, p)
		}
		c.queued += size
		c.startWriterLocked()
	case c.writing || c.corked > 0 || len(c.out) > 0 || c.ws.raw == nil:
		for _, p := range ps {
			c.frameLocked(p)
		}
		if c.corked == 0 || len(c.out) >= maxCorked {
			c.flushLocked()
		}
	default:
		c.sendNowLocked(ps)
	}
	return nil
}

// sendNowLocked writes without blocking, and queues the bytes that the kernel doesn't accept.
func (c *Conn) sendNowLocked(ps []packet.Packet) {
	scratch := frames.Get().(*[]byte)
	b := (*scratch)[:0]
	for _, p := range ps {
		b = c.ws.appendPacket(b, p)
	}
	n, err := c.ws.raw.WriteNow(b)
	if err == nil && n < len(b) {
		c.out = append(c.out, b[n:]...)
		c.queued += len(b) - n
		c.startWriterLocked()
	}
	if cap(b) <= 64<<10 {
		*scratch = b[:0]
		frames.Put(scratch)
	}
	if err != nil {
		c.failLocked(reasonOf(err), err)
	}
}

// frameLocked queues a packet as a frame.
func (c *Conn) frameLocked(p packet.Packet) {
	before := len(c.out)
	c.out = c.ws.appendPacket(c.out, p)
	c.queued += len(c.out) - before
}

// flushLocked writes a WebSocket's queue: at once if that can't block, otherwise on the writer's
// goroutine.
func (c *Conn) flushLocked() {
	if c.writing || len(c.out) == 0 || c.reason != "" {
		return
	}
	if c.ws.raw != nil {
		n, err := c.ws.raw.WriteNow(c.out)
		if err != nil {
			c.failLocked(reasonOf(err), err)
			return
		}
		c.queued -= n
		if c.out = c.out[n:]; len(c.out) == 0 {
			c.out = nil
			return
		}
	}
	c.startWriterLocked()
}

// Writable reports that a packet would leave at once: nothing is queued and, with polling, no post
// is under way.
func (c *Conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason == "" && !c.closing && !c.writing && c.queued == 0 && c.probed == nil
}

// Cork holds packets back until as many calls of Uncork, or until 16 KB have gathered; they leave
// in one write. Polling gathers anyway while a post is under way.
func (c *Conn) Cork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.corked++
	}
}

// Uncork undoes one Cork.
func (c *Conn) Uncork() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corked == 0 {
		return // closed meanwhile
	}
	if c.corked--; c.corked == 0 && c.reason == "" {
		if c.ws != nil {
			c.flushLocked()
		} else {
			c.startWriterLocked()
		}
	}
}

// startWriterLocked starts the writer, unless it runs.
func (c *Conn) startWriterLocked() {
	if !c.writing && c.corked == 0 && c.reason == "" {
		c.writing = true
		c.wg.Go(c.write)
	}
}

// write writes until nothing is queued. The last that a closing session writes is its farewell.
func (c *Conn) write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.reason == "" && c.writeLocked() {
	}
	c.writing = false
	c.idle.Broadcast()
}

// writeLocked writes one batch, with the lock released meanwhile, and reports whether there may be
// more.
func (c *Conn) writeLocked() bool {
	switch {
	case c.corked > 0: // Uncork goes on
		return false
	case c.ws != nil && len(c.out) > 0:
		ws, out := c.ws, c.out
		c.out = nil
		c.mu.Unlock()
		_, err := ws.conn.Write(out)
		c.mu.Lock()
		c.queued -= len(out)
		if err != nil {
			c.failLocked(reasonOf(err), err)
		}
	case c.ws == nil && c.probed == nil && len(c.queue) > 0:
		body, n := c.takePayloadLocked()
		closeBy := c.closeBy
		c.mu.Unlock()
		err := c.post(body, closeBy)
		c.mu.Lock()
		c.queued -= n
		if err != nil {
			c.failLocked(reasonOf(err), err)
		}
	case c.closing && !c.said:
		c.said = true
		if c.ws != nil {
			c.out = c.ws.appendClose(c.out)
		} else {
			c.queue = append(c.queue, packet.Packet{Type: packet.Close})
		}
	case c.closing && c.ws != nil:
		// The server's close frame is waited for: to close with bytes unread would reset the
		// connection under what was sent last.
		c.ws.conn.SetReadDeadline(c.closeBy)
		return false
	case c.closing:
		c.failLocked(ReasonForcedClose, nil)
		return false
	default:
		return false
	}
	return true
}

// takePayloadLocked takes as many packets as fit into one body by the server's maxPayload, at least
// one.
func (c *Conn) takePayloadLocked() (body []byte, size int) {
	n := 0
	for i, p := range c.queue {
		before := len(body)
		if i > 0 {
			body = append(body, packet.Separator)
		}
		body = packet.AppendText(body, p)
		if limit := c.open.MaxPayload; i > 0 && limit > 0 && int64(len(body)) > limit {
			body = body[:before]
			break
		}
		n++
		size += len(p.Data)
	}
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
	}
	return body, size
}
