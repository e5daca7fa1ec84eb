package node

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

const (
	talkBuffer = 8 << 10
	// maxOpen limits the body of a handshake's answer that is read for its open packet.
	maxOpen = 16 << 10
	// maxAsked limits the requests that wait for their answers. Routers send one at a time.
	maxAsked = 16
)

// conversation follows the requests of a router's connection to a program, and the answers, to count
// the program's sessions (ADR 0042). It changes no byte. If it can't follow, it stops to count what
// comes on this connection.
type conversation struct {
	sessions *sessioncount.Counter
	path     string      // of Socket.IO
	over     atomic.Bool // a WebSocket, or not to be followed any more

	mu      sync.Mutex // guards the rest: each direction has a goroutine
	asked   []exchange // the requests without a whole answer
	request listener
	answer  listener
	counted string // the WebSocket, for sessions.Disconnected
	isWS    bool
}

// exchange is a request as far as its answer matters.
type exchange struct {
	kind   exchangeKind
	sid    string
	isHead bool
	closes bool // its body ends with a close packet
	status int  // of the answer; 0: it has not begun
}

type exchangeKind uint8

const (
	otherExchange exchangeKind = iota
	handshakeExchange
	pollExchange
	postExchange
	upgradeExchange
)

var errUnasked = errors.New("node: an answer without a request")

// talk copies a router's connection to a program and back, and counts the sessions that it sees. It
// takes both connections over.
func (h *Host) talk(ctx context.Context, router *handoff.Conn, program halfCloser, sessions *sessioncount.Counter) {
	v := &conversation{sessions: sessions, path: h.cfg.Record.Path}
	ok := h.start(func() {
		defer v.end()
		defer router.Close()
		defer program.Close()
		defer context.AfterFunc(ctx, func() {
			router.Close()
			program.Close()
		})()
		back := make(chan struct{})
		go func() {
			defer close(back)
			v.copy(program, router, v.asks)
			v.left()
		}()
		v.copy(router, program, v.answers)
		v.answered()
		<-back
	})
	if !ok {
		router.Close()
		program.Close()
	}
}

// copy copies one direction, and shows each piece to follow before it sends it.
func (v *conversation) copy(dst, src halfCloser, follow func([]byte) error) {
	err := v.follow(dst, src, follow)
	if err == nil {
		_, err = io.Copy(dst, src)
	}
	if err != nil && err != io.EOF {
		src.Close()
		dst.Close()
		return
	}
	_ = dst.CloseWrite() // fails where dst is closed
}

// follow copies until the conversation is over, which is no error, or an error of src or dst.
func (v *conversation) follow(dst io.Writer, src io.Reader, follow func([]byte) error) error {
	b := make([]byte, talkBuffer)
	for !v.over.Load() {
		n, err := src.Read(b)
		if n > 0 {
			if follow(b[:n]) != nil {
				v.stop()
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stop ends the counting: what follows can't be read.
func (v *conversation) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopLocked()
}

func (v *conversation) stopLocked() {
	v.asked, v.request, v.answer = nil, listener{}, listener{}
	v.over.Store(true)
}

// left notes that the router has closed the connection. If it did so before a poll was answered,
// the poll's client has left, and its session has nobody any more.
func (v *conversation) left() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, q := range v.asked {
		if q.kind == pollExchange {
			v.sessions.Ended(q.sid)
		}
	}
	v.stopLocked()
}

// answered notes that the program has closed the connection, which ends an answer of unknown length.
func (v *conversation) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.asked) > 0 && v.answer.inBody && v.answer.rest.rest < 0 {
		v.count(v.asked[0])
	}
	v.stopLocked()
}

// end notes the end of both directions.
func (v *conversation) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.isWS {
		v.sessions.Disconnected(v.counted)
	}
}

// asks follows the next bytes of requests.
func (v *conversation) asks(b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &v.request
	for len(b) > 0 && !v.over.Load() {
		if !l.inBody {
			rest, ok, err := l.readHead(b, l.head.ParseRequest)
			if err != nil || !ok {
				return err
			}
			b = rest
			if len(v.asked) >= maxAsked {
				return errTooLong
			}
			v.asked = append(v.asked, v.understand())
			l.beginBody(max(l.head.Length, 0), l.head.Chunked)
		}
		var err error
		if b, err = l.readBody(b); err != nil {
			return err
		}
		if !l.inBody {
			q := &v.asked[len(v.asked)-1]
			q.closes = q.kind == postExchange && sessioncount.Closes(l.tail)
		}
	}
	return nil
}

// understand returns what the request's head asks for.
func (v *conversation) understand() exchange {
	h, b := &v.request.head, v.request.text
	method := h.Method.Of(b)
	q := exchange{isHead: string(method) == "HEAD"}
	sid, named := sidOf(v.path, string(h.Target.Of(b)))
	switch {
	case !named:
	case h.Upgrade:
		q.kind = upgradeExchange
	case sid == "" && string(method) == "GET":
		q.kind = handshakeExchange
	case sid != "" && string(method) == "GET":
		q.kind = pollExchange
	case sid != "" && string(method) == "POST":
		q.kind = postExchange
	}
	q.sid = sid
	return q
}

// sidOf returns the sid that the target of a request names. It returns false if the request neither
// belongs to a session nor opens one.
func sidOf(path, target string) (sid string, ok bool) {
	if !strings.HasPrefix(target, path) {
		return "", false
	}
	_, query, _ := strings.Cut(target, "?")
	q := packet.ParseQuery(query)
	if packet.IsEscaped(q.SID) {
		return string(packet.AppendUnescaped(nil, q.SID)), true
	}
	return q.SID, q.SID != "" || q.Transport != ""
}

// answers follows the next bytes of answers.
func (v *conversation) answers(b []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &v.answer
	for len(b) > 0 && !v.over.Load() {
		if !l.inBody {
			rest, ok, err := l.readHead(b, l.head.ParseResponse)
			if err != nil || !ok {
				return err
			}
			b = rest
			status := l.head.Status
			switch {
			case len(v.asked) == 0:
				return errUnasked
			case status == 101:
				if v.asked[0].kind == upgradeExchange {
					v.counted, v.isWS = v.sessions.Connected(v.asked[0].sid), true
				}
				v.stopLocked()
				return nil
			case status < 200:
				continue
			}
			q := &v.asked[0]
			q.status = status
			l.keep = 0
			if q.kind == handshakeExchange && status == 200 {
				l.keep = maxOpen
			}
			if q.isHead || status == 204 || status == 304 {
				l.beginBody(0, false)
			} else {
				l.beginBody(l.head.Length, l.head.Chunked)
			}
		}
		var err error
		if b, err = l.readBody(b); err != nil {
			return err
		}
		if !l.inBody {
			v.count(v.asked[0])
			v.asked = append(v.asked[:0], v.asked[1:]...)
		}
	}
	return nil
}

// count counts what the whole answer to a request says about its session.
func (v *conversation) count(q exchange) {
	switch {
	case q.kind == handshakeExchange && q.status == 200:
		if open, ok := packet.FindOpen(v.answer.body); ok {
			v.sessions.Opened(open.SID, open.PingInterval+open.PingTimeout)
		}
		v.answer.body = nil
	case q.kind != pollExchange && q.kind != postExchange:
	case q.status == 400:
		v.sessions.Ended(q.sid)
	case q.status == 200 && (q.closes || q.kind == pollExchange && sessioncount.Closes(v.answer.tail)):
		v.sessions.Closed(q.sid)
	case q.status == 200:
		v.sessions.Used(q.sid)
	}
}

// listener follows one direction: heads and bodies in turn.
type listener struct {
	head   http1.Head
	text   []byte // the bytes of the head, as far as they came
	seen   int    // of them, that were parsed
	inBody bool
	rest   answerBody
	tail   []byte // the last eight bytes of the body's data
	keep   int    // of the body's data to keep
	body   []byte // kept data
	plain  []byte // scratch for the data of chunks
}

// readHead reads on in a head. If it is whole, it returns the bytes behind it.
func (l *listener) readHead(b []byte, parse func(b []byte, seen int) (int, error)) (rest []byte, ok bool, err error) {
	if l.seen == 0 {
		l.text = l.text[:0]
	}
	before := len(l.text)
	l.text = append(l.text, b...)
	n, err := parse(l.text, l.seen)
	switch {
	case err == http1.ErrMore && len(l.text) < gateHead:
		l.seen = len(l.text)
		return nil, false, nil
	case err == http1.ErrMore:
		return nil, false, errTooLong
	case err != nil:
		return nil, false, err
	}
	l.seen = 0
	return b[n-before:], true, nil
}

// beginBody prepares for the body of a head that is whole. A body that has no bytes has ended.
func (l *listener) beginBody(length int64, chunked bool) {
	l.rest = answerBody{rest: length, chunked: chunked}
	l.inBody, l.tail, l.body = true, l.tail[:0], nil
}

// readBody reads on in a body, until inBody is false. It returns the bytes behind the body.
func (l *listener) readBody(b []byte) (rest []byte, err error) {
	k := 0
	if !l.rest.done() {
		data := b
		if l.rest.chunked {
			var done bool
			l.plain, k, done, err = l.rest.chunks.Decode(l.plain[:0], b)
			if err != nil {
				return nil, err
			}
			if data = l.plain; done {
				l.rest = answerBody{}
			}
		} else if k, err = l.rest.take(b); err == nil {
			data = b[:k]
		}
		l.note(data)
	}
	l.inBody = !l.rest.done()
	return b[k:], nil
}

// note keeps what matters of a body's data.
func (l *listener) note(data []byte) {
	if room := l.keep - len(l.body); room > 0 {
		l.body = append(l.body, data[:min(room, len(data))]...)
	}
	const end = 8
	if len(data) >= end {
		l.tail = append(l.tail[:0], data[len(data)-end:]...)
		return
	}
	l.tail = append(l.tail, data...)
	if over := len(l.tail) - end; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
}
