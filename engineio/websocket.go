package engineio

import (
	"encoding/binary"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/wheel"
)

// lingerTimeout limits the time until the client answers our close frame.
const lingerTimeout = 30 * time.Second

// The part of a WebSocket in its session.
const (
	roleCurrent = iota // the transport
	roleProbing        // may become it
	roleLeaving        // a close frame was sent or received: what still comes is not looked at
)

// webSocket is a connection after its handshake. feed takes its bytes from any reader. The
// goroutine that sends writes at once; the bytes that the kernel doesn't take wait in out.
type webSocket struct {
	session *Session
	link    link
	role    atomic.Int32 // changes under session.mu

	// feed only, under session.recvMu
	handed bool // a message was handed on since the last Idle
	deaf   bool // after a breach: what comes is dropped, until the client has heard our close frame and ends
	parser parser

	// under session.mu
	out      outbox
	deflate  bool
	blocked  bool   // the kernel takes no more; drain is called when it does
	closed   bool   // the link is closed
	saidBye  bool   // a close frame was sent
	heardBye bool   // one was received: the connection ends once out is written
	hangUp   bool   // our side ends once out is written, for a client that is not listened to
	code     uint16 // of the client's close frame: 1005 if it had none; 0: there was none
}

// link is a WebSocket's connection: a socket whose descriptor is read and written without blocking,
// or any net.Conn. The session's mu is held during write, writev, arm and close.
type link interface {
	// start begins to call w.feed with what is read, and w.readEnded once at the end. read comes
	// first.
	start(w *webSocket, read []byte)
	// write hands over what the connection takes without blocking, and returns how many bytes that
	// were.
	write(b []byte) (int, error)
	writev(v [][]byte) (int, error)
	// arm has w.drain called when the connection takes more.
	arm(w *webSocket)
	// closeWrite ends our side, or cuts the connection if its sides don't end one by one.
	closeWrite()
	// close cuts the connection. It may be called while the link is read.
	close()
	// measure tells what the kernel knows of the connection. It does nothing once that is closed.
	measure(e *eventloop.Ending)
}

// serveWebSocket begins a session on a WebSocket, or an upgrade of one that is there.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, session *Session, q *query) {
	if !checkHandshake(w, r) {
		return
	}
	fresh := session == nil
	if fresh {
		if s.refusing.Load() {
			s.answerBusy(w)
			return
		}
		var refused *ConnectionError
		if session, refused = s.mint(r); refused != nil {
			s.refuse(w, r, refused, true)
			return
		}
		if s.cfg.InitialHeaders != nil {
			s.cfg.InitialHeaders(w.Header(), r)
		}
	}
	s.hookHeaders(w.Header(), r)
	deflate := s.cfg.PerMessageDeflate != nil && acceptsDeflate(r.Header["Sec-Websocket-Extensions"])
	head := switchHead(r, w.Header(), deflate)
	conn, read, err := hijack(w)
	if err != nil {
		s.cfg.Log.Error("the HTTP server does not let a connection become a WebSocket", "error", err)
		abortUpgrade(w, http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError))
		return
	}
	ws := &webSocket{session: session, deflate: deflate}
	ws.parser.limit, ws.parser.deflate = s.cfg.MaxHTTPBufferSize, deflate
	ws.out.push(newRaw(head)) // leaves with what follows it
	started := s.admit(false, func() {
		ws.link = s.newLink(conn)
		s.starting.Add(1)
	})
	if !started {
		conn.Close()
		return
	}
	defer s.starting.Done()
	switch {
	case !fresh:
		session.probeWith(ws, q.transport)
	case q.transport != WebSocket: // a polling session cannot begin here
		session.ws = ws
		session.mu.Lock()
		ws.closeLocked()
		session.mu.Unlock()
	default:
		session.ws = ws
		if !s.begin(session) {
			session.mu.Lock()
			ws.closeLocked()
			session.mu.Unlock()
		}
	}
	ws.link.start(ws, read)
}

// feed takes bytes of the connection and reports whether it wants more. by is the leader that reads
// and does the work that follows, or nil.
func (w *webSocket) feed(b []byte, by *leader) bool {
	s := w.session
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	s.reader = by
	if w.deaf {
		return true
	}
	s.Cork()
	defer s.Uncork()
	err := w.parser.feed(b, w)
	if w.handed {
		w.handed = false
		s.idle()
	}
	if breach, ok := err.(*frameError); ok {
		w.fail(breach)
		return true
	}
	return err == nil
}

// message takes a message of the parser.
func (w *webSocket) message(op byte, data []byte) error {
	role := w.role.Load()
	if role == roleLeaving {
		return nil
	}
	p, err := packet.Packet{Type: packet.Message, Binary: true, Data: data}, error(nil)
	if op == opText {
		p, err = packet.ParseText(data)
	}
	switch {
	case role == roleProbing:
		w.session.probe(w, p, err)
	case err != nil:
		w.session.fail(ParseError, err)
	case w.session.receivePacket(p):
		w.handed = true
	}
	return nil
}

// control takes a control frame of the parser.
func (w *webSocket) control(op byte, data []byte) error {
	s := w.session
	if op == opClose {
		if err := checkClose(data); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		w.code = noCloseCode
		if len(data) >= 2 {
			w.code = binary.BigEndian.Uint16(data)
		}
		w.sayByeLocked(data) // the client's own code and reason, as the reference answers
		w.leaveLocked(TransportClose, nil)
		w.heardBye = true
		w.lingerLocked()
		return errStop
	}
	if op == opPing && w.role.Load() != roleLeaving {
		s.mu.Lock()
		defer s.mu.Unlock()
		w.sendLocked(newControl(opPong, data))
	}
	return nil
}

// noCloseCode stands for a close frame without a code (RFC 6455, section 7.1.5).
const noCloseCode = 1005

// fail ends the connection for a breach of the WebSocket protocol. The link goes on reading:
// closing a socket with unread data would take our close frame back.
func (w *webSocket) fail(breach *frameError) {
	w.deaf = true
	w.parser.release()
	w.session.mu.Lock()
	defer w.session.mu.Unlock()
	w.sayByeLocked(binary.BigEndian.AppendUint16(nil, breach.code))
	w.leaveLocked(TransportError, breach)
	w.hangUp = true
	w.lingerLocked()
}

// readEnded tells that there is nothing more to read. The link calls it.
func (w *webSocket) readEnded(err error) {
	if err == io.EOF {
		err = nil
	}
	w.session.mu.Lock()
	w.leaveLocked(TransportClose, err)
	w.cutLocked()
	w.session.mu.Unlock()
	w.readStopped()
}

// readStopped tells that feed wanted no more: the client has closed, and the queue still goes out.
// The link calls it.
func (w *webSocket) readStopped() {
	w.session.recvMu.Lock()
	defer w.session.recvMu.Unlock()
	w.parser.release()
	w.deaf = true
}

// leaveLocked ends the session if this is its transport, or else its upgrade.
func (w *webSocket) leaveLocked(reason string, err error) {
	w.leaveWithLocked(reason, err, w.session.endingLocked())
}

func (w *webSocket) leaveWithLocked(reason string, err error, e *eventloop.Ending) {
	role := w.role.Swap(roleLeaving)
	switch {
	case role == roleCurrent && w.session.ws == w:
		w.session.endWithLocked(reason, err, e)
	case role == roleProbing:
		w.session.cancelUpgradeLocked()
	}
}

// sendLocked writes the messages at once, and queues the bytes that the kernel doesn't take.
func (w *webSocket) sendLocked(ms ...*Message) error {
	if w.closed || w.saidBye {
		return ErrClosed
	}
	s := w.session
	corked := s.corks > 0 && s.ws == w // a probe's answer does not wait
	if len(ms) == 1 && !corked && !w.blocked && len(w.out.items) == 0 {
		f := ms[0].wire(w.threshold())
		n, err := w.link.write(f)
		if err != nil {
			return w.brokenLocked(err)
		}
		if n < len(f) {
			w.out.push(ms[0])
			w.out.off, w.out.bytes = n, w.out.bytes-n
			w.blocked = true
			w.link.arm(w)
		}
		return nil
	}
	full := w.blocked && len(w.out.items) > 0
	w.out.push(ms...)
	if w.out.exceeds(s.server.cfg.MaxQueueBytes, full, ms) {
		w.brokenLocked(ErrSlowClient)
		return ErrSlowClient
	}
	if !corked || w.out.bytes >= corkBytes {
		w.flushLocked()
	}
	return nil
}

func (w *webSocket) threshold() int {
	if !w.deflate {
		return -1
	}
	t := w.session.server.cfg.PerMessageDeflate.Threshold
	if t == 0 {
		return 1024
	}
	return max(t, 0)
}

// flushLocked writes the queue, as far as the kernel takes it.
func (w *webSocket) flushLocked() {
	for !w.blocked && !w.closed && len(w.out.items) > 0 {
		if !w.writeSomeLocked() {
			return
		}
		if w.blocked {
			w.link.arm(w)
		}
	}
	w.cutIfDoneLocked()
}

// maxVec bounds the frames of one writev.
const maxVec = netio.MaxVec

// vecs pools the arguments of writev, which would be allocated since they go through an interface.
var vecs = sync.Pool{New: func() any { return new([maxVec][]byte) }}

// writeSomeLocked makes one write: up to 16 KB gathered into scratch, or as many frames as one
// writev takes. It sets blocked if the kernel took less, and reports false if the connection broke.
func (w *webSocket) writeSomeLocked() bool {
	threshold := w.threshold()
	items := w.out.items
	if len(items) > maxVec {
		items = items[:maxVec]
	}
	total := -w.out.off
	for _, m := range items {
		total += len(m.wire(threshold))
	}
	var n int
	var err error
	switch {
	case len(items) == 1:
		n, err = w.link.write(items[0].wire(threshold)[w.out.off:])
	case total <= corkBytes:
		buf := bufpool.Get(total)
		off := w.out.off
		for _, m := range items {
			buf = append(buf, m.wire(threshold)[off:]...)
			off = 0
		}
		n, err = w.link.write(buf)
		bufpool.Put(buf)
	default:
		vec := vecs.Get().(*[maxVec][]byte)
		for i, m := range items {
			vec[i] = m.wire(threshold)
		}
		vec[0] = vec[0][w.out.off:]
		n, err = w.link.writev(vec[:len(items)])
		clear(vec[:len(items)])
		vecs.Put(vec)
	}
	if err != nil {
		w.brokenLocked(err)
		return false
	}
	w.blocked = n < total
	w.wroteLocked(items, n, threshold)
	return true
}

// wroteLocked removes n written bytes from the queue, which begins with items.
func (w *webSocket) wroteLocked(items []*Message, n, threshold int) {
	whole := 0
	for _, m := range items {
		left := len(m.wire(threshold))
		if whole == 0 {
			left -= w.out.off
		}
		if n < left {
			break
		}
		n -= left
		whole++
	}
	if whole > 0 {
		w.out.drop(whole)
	}
	w.out.off += n
	w.out.bytes -= n
}

// brokenLocked ends a connection that can't be written to.
func (w *webSocket) brokenLocked(err error) error {
	e := w.session.endingLocked() // before the queue is dropped
	w.cutLocked()
	w.leaveWithLocked(TransportError, err, e)
	return err
}

// closeLocked starts to close the connection from our side, with a close frame without a code
// behind the queue. The connection is cut after the client's answer, or after lingerTimeout.
func (w *webSocket) closeLocked() {
	w.role.Store(roleLeaving)
	w.sayByeLocked(nil)
	w.lingerLocked()
}

// sayByeLocked queues a close frame, once, and writes the queue, which no cork holds back any more.
func (w *webSocket) sayByeLocked(payload []byte) {
	if w.saidBye || w.closed {
		return
	}
	w.saidBye = true
	w.out.push(newControl(opClose, payload))
	w.flushLocked()
}

// linger is a webSocket that waits for the answer to our close frame.
type linger struct {
	ws    *webSocket
	timer wheel.Timer
}

// Expire cuts the connection.
func (l *linger) Expire(*wheel.Timer) {
	l.ws.session.mu.Lock()
	defer l.ws.session.mu.Unlock()
	l.ws.cutLocked()
}

func (w *webSocket) lingerLocked() {
	w.cutIfDoneLocked()
	if w.closed {
		return
	}
	srv := w.session.server
	srv.lingerMu.Lock()
	l := srv.lingering[w]
	if l == nil {
		l = &linger{ws: w}
		l.timer.Owner = l
		srv.lingering[w] = l
	}
	srv.lingerMu.Unlock()
	srv.wheel.Schedule(&l.timer, lingerTimeout)
}

// cutIfDoneLocked closes the connection if the client has closed it and everything was written.
func (w *webSocket) cutIfDoneLocked() {
	switch {
	case w.closed || w.blocked || len(w.out.items) > 0:
	case w.heardBye:
		w.cutLocked()
	case w.hangUp:
		w.hangUp = false
		w.link.closeWrite()
	}
}

// cutLocked closes the connection.
func (w *webSocket) cutLocked() {
	if w.closed {
		return
	}
	w.closed = true
	w.out.clear()
	srv := w.session.server
	w.link.close()
	srv.lingerMu.Lock()
	defer srv.lingerMu.Unlock()
	if l := srv.lingering[w]; l != nil {
		srv.wheel.Stop(&l.timer)
		delete(srv.lingering, w)
	}
	if len(srv.lingering) == 0 && srv.settled != nil {
		close(srv.settled)
		srv.settled = nil
	}
}
