package router

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// maxOpen bounds the body of a handshake's response that is looked at. Open packets have some 120 bytes.
const maxOpen = 16 << 10

// answer reads the response, whose first bytes are there, and sends it to the client.
func (x *exchange) answer(ctx context.Context, u *upstream) verdict {
	n, err := x.readResponse(u)
	if err != nil {
		return x.badResponse(ctx, u, err)
	}
	h := &x.head
	u.b.answered(h.Status < 502 || h.Status > 504)
	first := u.named && !u.reused
	u.reused = true // from now on it is the worker's own, whatever it says
	switch {
	case h.Status == 421 && (first || u.doored && h.Value(u.Bytes(), http1.FieldSiderealWorker) != nil):
		x.c.awaited()
		u.close()
		return ownerGone
	case first && h.Value(u.Bytes(), http1.FieldSiderealKey) != nil:
		x.c.awaited()
		u.close()
		if u.b.otherKey() && !x.streamed && x.rest == 0 && !x.more {
			return otherKey
		}
		x.c.r.keyRefused(u.b)
		return broken
	case h.Status == 101 && x.upgrading && h.Upgrade:
		x.account.status = h.Status
		x.settle(u.b, true)
		x.c.relaying = u
		return closeIt
	case h.Status == 101:
		return x.badResponse(ctx, u, http1.ErrBadStatus)
	}
	if x.opened {
		if n, err = x.learn(ctx, u, n); err != nil {
			return x.badResponse(ctx, u, err)
		}
	}
	return x.respond(u, n)
}

// readResponse parses the final response's head; interim ones are dropped.
func (x *exchange) readResponse(u *upstream) (int, error) {
	seen := 0
	for {
		n, err := x.head.ParseResponse(u.Bytes(), seen)
		switch {
		case err == nil && x.head.Status < 200 && x.head.Status != 101:
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

func (x *exchange) badResponse(ctx context.Context, u *upstream, err error) verdict {
	var f *http1.Refusal
	if errors.As(err, &f) {
		x.c.r.metrics.upstreamError("response")
	}
	return x.failed(ctx, u, len(x.out), err)
}

// learn reads a handshake's answer to the end and, if a session was opened, notes who owns it: before the client can know
// its sid. It returns where the head ends, u's buffer having moved.
func (x *exchange) learn(ctx context.Context, u *upstream, n int) (int, error) {
	h := &x.head
	if h.Status != 200 || h.Length > maxOpen {
		x.settle(u.b, false)
		return n, nil
	}
	body, err := x.wholeBody(u, n)
	if err != nil {
		return n, err
	}
	open, ok := packet.FindOpen(body)
	x.settle(u.b, ok)
	if ok {
		x.c.r.cfg.Directory.Learn(ctx, open.SID, u.b.id, directory.EntryTTL(open.PingInterval, open.PingTimeout))
	}
	return n, nil
}

// wholeBody waits for the body behind the head, up to maxOpen, without taking it from u.
func (x *exchange) wholeBody(u *upstream, n int) ([]byte, error) {
	for {
		raw := u.Bytes()[n:]
		switch h := &x.head; {
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
			if err == io.EOF && !x.head.Chunked && x.head.Length < 0 {
				return u.Bytes()[n:], nil
			}
			return nil, err
		}
	}
}

// settle corrects the count of new sessions when one that was balanced did not come to be.
func (x *exchange) settle(b *backend, opened bool) {
	if x.opened && !opened {
		b.opened.Add(-1)
	}
	x.opened = false
	x.leave()
}

// respond sends the response whose head is the first n bytes of u.
func (x *exchange) respond(u *upstream, n int) verdict {
	h := &x.head
	x.account.status = h.Status
	x.close = x.close || x.c.r.draining.Load() || x.sending != nil && !x.sending.taken.Load()
	if x.sending != nil {
		x.sending.answering.Store(true)
	}
	bodiless := x.isHead || h.Status == 204 || h.Status == 304
	body := body{rest: max(h.Length, 0), chunked: h.Chunked, decode: h.Chunked && x.minor == 0}
	switch {
	case bodiless:
		body.rest, body.chunked = 0, false
	case h.Chunked:
		body.rest = 0
	case h.Length < 0:
		body.untilClose = true
	}
	if body.untilClose || body.decode && !bodiless {
		x.close = true
	}
	out := x.composeResponse(u.Bytes(), n, body.decode)
	u.Discard(n)
	sound, err := x.sendResponse(u, &body, out)
	whole, _ := x.endUpload()
	// Behind an upgrade that was refused a connection is its app's, which may close it, or read no
	// request from it any more.
	reusable := x.c.awaited() && sound && whole && !x.upgrading && !h.Close && !body.untilClose && len(u.Bytes()) == 0
	if reusable {
		u.b.put(u)
	} else {
		u.close()
	}
	if x.route.sid != "" && x.c.bound == nil {
		x.c.r.cfg.Directory.Touch(x.c.sid)
	}
	switch {
	case err != nil, x.close:
		if err == nil && x.unread {
			x.c.linger()
		}
		return closeIt
	}
	return keepOpen
}

// composeResponse writes the head for the client.
func (x *exchange) composeResponse(b []byte, n int, decode bool) []byte {
	h := &x.head
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
		case http1.FieldSidereal, http1.FieldSiderealWorker, http1.FieldSiderealKey: // routers' own words to each other
			if x.c.bound != nil || x.c.r.cfg.DebugHeader {
				continue
			}
		case http1.FieldTransferEncoding:
			if decode {
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
	} else if x.minor == 0 {
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// body is what is still to come of a response.
type body struct {
	rest       int64
	chunked    bool
	decode     bool // the client speaks HTTP/1.0: chunks are taken apart
	untilClose bool
	chunks     http1.Chunks
}

func (b *body) done() bool { return b.rest == 0 && !b.chunked && !b.untilClose }

// sendResponse sends out and the body. Sound: the upstream is where the next response begins. An error means that the
// client did not get all of it.
func (x *exchange) sendResponse(u *upstream, b *body, out []byte) (sound bool, err error) {
	defer func() { bufpool.Put(out) }()
	c := x.c
	pending := true // out is not yet sent
	u.Expect(b.rest)
	if b.chunked || b.untilClose {
		u.Expect(-1)
	}
	for {
		p := u.Bytes()
		var k int
		if k, out, err = b.take(p, out, pending); err != nil {
			break
		}
		if pending || b.decode {
			if len(out) > 0 {
				_, err = c.Write(out)
			}
			out = out[:0]
		}
		if k < 0 { // nothing of p is in out
			k = -k
			if err == nil {
				_, err = c.Write(p[:k])
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
	if pending { // a body that was malformed from its first byte
		x.account.broken = true
		return false, err
	}
	if b.untilClose && err == io.EOF {
		return false, nil
	}
	x.account.broken = true
	c.r.metrics.upstreamError("read")
	return false, err
}

// take follows p. What is to be sent of it is appended to out where it has to be decoded, or where it is small and out
// waits to be sent; else the count is negative and p is sent itself.
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

// keyRefused says, at most every 10 s, that another host's door did not accept our key.
func (r *Router) keyRefused(b *backend) {
	r.metrics.upstreamError("key")
	if seldom(&r.keyWarned) {
		r.log.Error().Str("worker", b.id).Str("addr", b.addr).Msg("the other host's router refuses our key: do both use one Redis and one SIDEREAL_APP?")
	}
}

// seldom tells whether 10 s have passed since it last did.
func seldom(last *atomic.Int64) bool {
	now, before := time.Now().Unix(), last.Load()
	return now-before >= 10 && last.CompareAndSwap(before, now)
}
