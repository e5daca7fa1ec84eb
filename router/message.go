package router

import (
	"bytes"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// message is a request as it goes to a worker, and what is left of its body. It outlives an attempt
// that failed.
type message struct {
	text      []byte // the head, and the bytes of the body that came with it; borrowed
	cut       int    // where routing fields go into text: before the empty line
	form      form
	most      int64 // bytes that the body may have; 0: any
	rest      int64 // bytes of a body with Content-Length that were not taken yet
	more      bool  // the end of a chunked body has not come yet
	taken     int64 // bytes of a chunked body
	chunks    http1.Chunks
	continued bool // the client was told to send the body
	streamed  bool // bytes of the body were sent that text doesn't have
	repeated  bool // it is a copy
}

// form is what the message is for.
type form uint8

const (
	plain   form = iota // a request; the connection is the router's
	relayed             // an upgrade that the router relays
	handed              // an upgrade whose connection is passed
)

// maxPrefetched bounds the buffer for body bytes that leave with the head.
const maxPrefetched = 64 << 10

// release gives the buffer back.
func (m *message) release() {
	if m.text != nil {
		bufpool.Put(m.text)
		m.text = nil
	}
}

// unsent reports whether a part of the body has not come from the client yet.
func (m *message) unsent() bool { return m.rest > 0 || m.more }

// compose writes the head, which is the first n bytes of the connection's buffer. It drops fields
// that are for neighbours only, and adds what the router knows about the client. Everything else
// stays as it is, byte by byte.
func (m *message) compose(c *conn, q *request, n int, f form) {
	h, b, believed := &q.head, c.Bytes(), c.bound != nil
	m.release()
	m.form = f
	dst := bufpool.Get(n + min(len(b)-n, maxPrefetched) + 512)
	dst = append(append(dst, h.Method.Of(b)...), ' ')
	if h.Authority.To > 0 && (h.Target.From == h.Target.To || b[h.Target.From] != '/') {
		dst = append(dst, '/')
	}
	dst = append(append(dst, h.Target.Of(b)...), " HTTP/1.1\r\n"...)
	for i := range h.Fields() {
		if fl := &h.Fields()[i]; c.forwards(q, fl, b) {
			dst = appendField(dst, fl, b)
		}
	}
	if h.Authority.To > 0 || h.Minor == 0 && h.Host(b) == nil { // HTTP/1.1 must have one
		dst = append(append(append(dst, "Host: "...), h.Host(b)...), "\r\n"...)
	}
	if !believed {
		dst = c.peer.appendForwarded(dst, h, b)
		if f != handed {
			dst = appendOrigin(dst, q.from, c.r.id)
		}
	}
	switch f {
	case relayed:
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case handed:
		// The connection is the worker's and must not outlive a refused upgrade: the next request
		// on it may be anyone's.
		dst = append(dst, "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"...)
	}
	m.cut = len(dst)
	m.text = append(dst, "\r\n"...)
}

// forwards reports whether a field of a request goes to the worker as it is.
func (c *conn) forwards(q *request, f *http1.Field, b []byte) bool {
	believed := c.bound != nil
	switch f.ID {
	case http1.FieldHost:
		return q.head.Authority.To == 0
	case http1.FieldConnection, http1.FieldUpgrade, http1.FieldHop, http1.FieldExpect,
		http1.FieldSiderealWorker, http1.FieldSiderealKey:
		return false
	case http1.FieldSidereal, http1.FieldForwardedFor:
		return believed
	case http1.FieldForwarded, http1.FieldForwardedProto, http1.FieldForwardedHost:
		return believed || c.peer.trusted
	case http1.FieldAcceptEncoding:
		return q.kind != kindHandshake // the router reads its answer
	case http1.FieldOther, http1.FieldOrigin:
		return !q.head.Named || !q.head.IsNamed(b, f.Name.Of(b))
	}
	return true
}

func appendField(dst []byte, f *http1.Field, b []byte) []byte {
	dst = append(append(dst, f.Name.Of(b)...), ": "...)
	return append(append(dst, f.Value.Of(b)...), "\r\n"...)
}

// takeBody takes the bytes of the body that the connection's buffer has. It refuses a body that is
// malformed or has more than most bytes.
func (m *message) takeBody(c *conn, h *http1.Head, most int64) *http1.Refusal {
	m.most = most
	switch {
	case h.Chunked:
		m.more = true
	case h.Length > 0:
		m.rest = h.Length
	default:
		return nil
	}
	b := c.Bytes()
	k, f := m.next(b)
	m.text = append(bufpool.Grow(m.text, k), b[:k]...)
	c.Discard(k)
	return f
}

// next returns how many bytes of b belong to the body, and notes what is left of it.
func (m *message) next(b []byte) (int, *http1.Refusal) {
	if !m.more {
		k := int(min(int64(len(b)), m.rest))
		m.rest -= int64(k)
		return k, nil
	}
	k, done, err := m.chunks.Feed(b)
	if err != nil {
		return k, http1.ErrChunk
	}
	m.more = !done
	if m.taken += int64(k); m.most > 0 && m.taken > m.most {
		return k, errBody
	}
	return k, nil
}

// dropBody makes it the same request with an empty body: the bytes that went to a dead worker are
// not here any more, and the answer to an unknown sid doesn't depend on them.
func (m *message) dropBody() {
	var h http1.Head
	n, err := h.ParseRequest(m.text, 0)
	if err != nil {
		return // impossible: the router wrote it
	}
	dst := append(bufpool.Get(n+64), m.text[:bytes.IndexByte(m.text, '\n')+1]...)
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID != http1.FieldContentLength && f.ID != http1.FieldTransferEncoding {
			dst = appendField(dst, f, m.text)
		}
	}
	dst = append(dst, "Content-Length: 0\r\n"...)
	m.release()
	m.cut = len(dst)
	m.text = append(dst, "\r\n"...)
	m.rest, m.more = 0, false
}

// numbered reports whether it is a GET or POST whose target has a parameter t, by which workers
// recognise a copy.
func (m *message) numbered() bool {
	line := m.text[:bytes.IndexByte(m.text, '\n')]
	if !bytes.HasPrefix(line, []byte("GET ")) && !bytes.HasPrefix(line, []byte("POST ")) {
		return false
	}
	line = line[:bytes.LastIndexByte(line, ' ')]
	i := bytes.IndexByte(line, '?')
	return i >= 0 && packet.ParseQuery(view(line[i+1:])).T != ""
}

// fieldRouter is followed by the name of the router. The head has it once: clients' are removed.
const fieldRouter = "\r\nSidereal-Router: "

// copySuffix makes a router's name another one. Workers take a request for a copy only if it comes
// over another router, since some clients have one t for all their requests.
const copySuffix = "-copy"

// repeat makes the message a copy of what was sent by the router of that name.
func (m *message) repeat(router string) {
	m.repeated = true
	at := bytes.Index(m.text, []byte(fieldRouter)) + len(fieldRouter) + len(router)
	m.text = bufpool.Grow(m.text, len(copySuffix))
	m.text = append(m.text, copySuffix...)
	copy(m.text[at+len(copySuffix):], m.text[at:])
	copy(m.text[at:], copySuffix)
	m.cut += len(copySuffix)
}

// addressed returns the text for a connection that needs routing fields: the worker that is meant,
// and the key for its host's door. The caller gives the buffer back.
func (m *message) addressed(worker, key string) []byte {
	dst := append(bufpool.Get(len(m.text)+len(worker)+len(key)+64), m.text[:m.cut]...)
	return append(appendRouting(dst, worker, key), m.text[m.cut:]...)
}
