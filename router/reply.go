package router

import (
	"io"
	"sync"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// maxOpen bounds the body of a handshake's answer that the router reads. Open packets have some 120
// bytes.
const maxOpen = 16 << 10

// reply is a worker's answer on its way to the client. It is borrowed from a pool when the first
// bytes are there, so a poll that waits has none.
type reply struct {
	head http1.Head
	body body
}

var replies = sync.Pool{New: func() any { return new(reply) }}

// read parses the head of the final answer and drops interim ones. It returns the head's length.
func (p *reply) read(u *workerConn) (int, error) {
	seen := 0
	for {
		n, err := p.head.ParseResponse(u.Bytes(), seen)
		switch {
		case err == nil && p.head.Status < 200 && p.head.Status != 101:
			u.Discard(n)
			seen = 0
			if len(u.Bytes()) > 0 {
				continue
			}
		case err != http1.ErrMore:
			return n, err
		default:
			seen = len(u.Bytes())
		}
		if err := u.Fill(); err != nil {
			return 0, err
		}
	}
}

// wholeBody waits for the body behind the head of n bytes, up to maxOpen, and leaves it in u.
func (p *reply) wholeBody(u *workerConn, n int) ([]byte, error) {
	h := &p.head
	for {
		raw := u.Bytes()[n:]
		switch {
		case h.Chunked:
			var c http1.Chunks
			body, _, done, err := c.Decode(nil, raw)
			if err != nil {
				return nil, &http1.Refusal{Status: 502, Why: http1.ErrChunk.Why}
			}
			if done || len(raw) > maxOpen {
				return body, nil
			}
		case len(raw) > maxOpen, h.Length >= 0 && int64(len(raw)) >= h.Length:
			return raw, nil
		}
		if err := u.Fill(); err != nil {
			if err == io.EOF && !h.Chunked && h.Length < 0 {
				return u.Bytes()[n:], nil
			}
			return nil, err
		}
	}
}

// composeReply writes the head for the client. B holds the worker's head in its first n bytes.
func (x *exchange) composeReply(p *reply, b []byte, n int) []byte {
	h := &p.head
	dst := bufpool.Get(n + min(len(b)-n, maxOpen) + 64)
	dst = append(dst, "HTTP/1.1 "...)
	line := 9
	for b[line-1] != '\n' {
		line++
	}
	dst = append(dst, b[9:line]...)
	for i := range h.Fields() {
		f := &h.Fields()[i]
		switch f.ID {
		case http1.FieldConnection, http1.FieldUpgrade, http1.FieldHop:
			continue
		case http1.FieldSidereal, http1.FieldSiderealWorker, http1.FieldSiderealKey: // between routers
			if x.c.bound != nil || x.c.r.cfg.DebugHeader {
				continue
			}
		case http1.FieldTransferEncoding:
			if p.body.decode {
				continue
			}
		case http1.FieldOther, http1.FieldOrigin:
			if h.Named && h.IsNamed(b, f.Name.Of(b)) {
				continue
			}
		}
		dst = appendField(dst, f, b)
	}
	dst = x.appendDebug(dst)
	if x.close {
		dst = append(dst, "Connection: close\r\n"...)
	} else if x.req.minor == 0 {
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// send sends the head in text, which it gives back, and the body. Sound means that the next reply
// begins where u stands. An error means that the client did not get all of the reply.
func (p *reply) send(x *exchange, u *workerConn, text []byte) (sound bool, err error) {
	defer func() { bufpool.Put(text) }()
	c, b := x.c, &p.body
	pending := true // text is not sent yet
	u.Expect(b.rest)
	if b.chunked || b.untilClose {
		u.Expect(-1)
	}
	for {
		piece := u.Bytes()
		var k int
		if k, text, err = b.take(piece, text, pending); err != nil {
			break
		}
		if pending || b.decode {
			if len(text) > 0 {
				_, err = c.Write(text)
			}
			text = text[:0]
		}
		if k < 0 { // nothing of the piece is in text
			k = -k
			if err == nil {
				_, err = c.Write(piece[:k])
			}
		}
		pending = false
		u.Discard(k)
		if err != nil || b.done() {
			return err == nil, err
		}
		u.Release()
		if err = u.Fill(); err != nil {
			break
		}
	}
	if pending { // the body is malformed from its first byte
		x.record.broken = true
		return false, err
	}
	if b.untilClose && err == io.EOF {
		return false, nil
	}
	x.record.broken = true
	c.r.metrics.upstreamError("read")
	return false, err
}

// body is what is still to come of a reply.
type body struct {
	rest       int64
	chunked    bool
	decode     bool // the client speaks HTTP/1.0, or HTTP/2: it gets the chunks' data
	untilClose bool
	chunks     http1.Chunks
}

// bodyOf returns what follows a head. A bodiless reply has no body whatever its head says.
func bodyOf(h *http1.Head, bodiless, decode bool) body {
	switch {
	case bodiless:
		return body{decode: h.Chunked && decode}
	case h.Chunked:
		return body{chunked: true, decode: decode}
	case h.Length < 0:
		return body{untilClose: true}
	}
	return body{rest: h.Length}
}

func (b *body) done() bool { return b.rest == 0 && !b.chunked && !b.untilClose }

// take follows p. It appends the bytes for the client to out if they have to be decoded, or if they
// are few and out waits to be sent. Otherwise it returns a negative count, and p itself is to be
// sent.
func (b *body) take(p, out []byte, pending bool) (int, []byte, error) {
	k := len(p)
	switch {
	case b.chunked:
		var done bool
		var err error
		if b.decode {
			out, k, done, err = b.chunks.Decode(bufpool.Grow(out, k), p)
			b.chunked = !done
			return k, out, err
		}
		if k, done, err = b.chunks.Feed(p); err != nil {
			return 0, out, err
		}
		b.chunked = !done
	case !b.untilClose:
		k = int(min(int64(k), b.rest))
		b.rest -= int64(k)
	}
	if pending && k <= maxOpen {
		return k, append(bufpool.Grow(out, k), p[:k]...), nil
	}
	return -k, out, nil
}
