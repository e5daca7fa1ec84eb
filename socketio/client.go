package socketio

import (
	"bytes"
	"container/list"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/wheel"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// client is one connection, which carries the sockets of several namespaces. It is the session's
// Receiver.
type client struct {
	server  *Server
	session *engineio.Session

	mu       sync.Mutex
	sockets  []*Socket        // connecting or connected
	deadline *connectDeadline // until the first namespace is joined
	running  int32            // sockets whose goroutines may still run, ended ones included
	closed   bool
	doomed   bool  // the connection is being closed for the client's fault
	parted   uint8 // sockets whose end was recorded, at most mostParted

	ignoring bool                 // what comes is not looked at any more; only for Receive, Idle and Closed
	pending  atomic.Int64         // bytes that were received and are not handled yet
	corked   atomic.Pointer[cork] // while handlers run

	// Only for Receive, Idle and Closed, which are never called concurrently.
	decoder     packet.Decoder // of Config.Parser; nil: the protocol's own form
	rate        *rate.Limiter
	partial     *partial // a packet whose attachments are still to come
	first, last *event   // of the read that is going on
}

// connectDeadline closes a connection that joins no namespace.
type connectDeadline struct {
	timer  wheel.Timer
	client *client
}

// Expire closes the connection.
func (d *connectDeadline) Expire(*wheel.Timer) {
	c := d.client
	c.mu.Lock()
	late := c.deadline != nil
	c.mu.Unlock()
	if late {
		c.exceeded(&limitError{violationTimeout, limitConnect, c.server.cfg.ConnectTimeout, nil})
	}
}

// partial is a packet of type 5 or 6 that waits for attachments.
type partial struct {
	client *client
	timer  wheel.Timer // set once a read ended without them
	late   atomic.Bool // whoever sets it first, the timer or the last attachment, has its way

	crowded atomic.Bool // it is given up for Config.MaxPartialBytes
	header  packet.Header
	name    []byte
	args    Args
	got     [][]byte
	size    int // of what has come, as Config.MaxPendingBytes counts it

	// under waits.mu
	place *list.Element
	held  int
}

// newClient returns the Receiver of a new session.
func newClient(srv *Server, s *engineio.Session) *client {
	c := &client{server: srv, session: s}
	c.deadline = &connectDeadline{client: c}
	c.deadline.timer.Owner = c.deadline
	srv.wheel.Schedule(&c.deadline.timer, srv.cfg.ConnectTimeout)
	if n := srv.cfg.MaxEventsPerSecond; n > 0 {
		c.rate = rate.NewLimiter(rate.Limit(n), n)
	}
	if srv.cfg.Parser != nil {
		c.decoder = srv.cfg.Parser.NewDecoder()
	}
	srv.cfg.Trace.opened(s)
	return c
}

// Busy implements eventloop.Receiver: handlers run or wait, so that answers are still to come.
func (c *client) Busy() bool {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	return slices.ContainsFunc(sockets, (*Socket).isBusy)
}

// Pinned implements eventloop.Receiver: a socket is in a Pinned room.
func (c *client) Pinned() bool {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	return slices.ContainsFunc(sockets, (*Socket).isPinned)
}

var (
	_ engineio.Receiver  = (*client)(nil)
	_ eventloop.Receiver = (*client)(nil)
	_ eventloop.Upgrader = (*client)(nil)
)

var (
	errBinary = errors.New("socketio: binary message where none is due")
	errText   = errors.New("socketio: text message where an attachment is due")
	errState  = errors.New("socketio: packet does not fit the state of its namespace")
)

// Receive takes one Engine.IO message, which is a packet or an attachment.
func (c *client) Receive(data []byte, binary bool) {
	if c.ignoring {
		return
	}
	var err error
	switch {
	case c.decoder != nil:
		err = c.decode(data, binary)
	case binary:
		err = c.receiveAttachment(data)
	case c.partial != nil:
		err = errText
	default:
		if !utf8.Valid(data) { // a polling body; Node reads it this way
			data = bytes.ToValidUTF8(data, []byte("\ufffd"))
		}
		err = c.receiveText(data)
	}
	if err == nil {
		return
	}
	if c.partial != nil {
		c.completed()
	}
	limit, exceeded := errors.AsType[*limitError](err)
	switch {
	case exceeded:
		c.exceeded(limit)
	case err == errState:
		c.violated(violationState, "", err)
	default:
		c.closeMalformed(err)
	}
}

func (c *client) receiveText(data []byte) error {
	h, body, err := packet.Parse(data)
	if err != nil {
		return err
	}
	c.server.cfg.Trace.received(c.session, h, len(data))
	if h.Type == packet.Connect || h.Type == packet.Disconnect || h.Type == packet.ConnectError {
		return c.control(h, body)
	}
	if h.Type == packet.BinaryEvent || h.Type == packet.BinaryAck {
		if h.Attachments == 0 {
			return packet.ErrAttachments
		}
		if most := c.server.cfg.MaxAttachments; h.Attachments > most {
			return &limitError{violationLimit, limitAttachments, most, h.Attachments}
		}
	}
	body = bytes.Clone(body) // data is the reader's
	var name []byte
	var args Args
	if h.Type == packet.Ack || h.Type == packet.BinaryAck {
		args, err = packet.ParseArgs(body, h.Attachments)
	} else {
		name, args, err = packet.ParseEvent(body, h.Attachments)
	}
	if err != nil {
		return err
	}
	if h.Attachments > 0 {
		c.partial = &partial{client: c, header: h, name: name, args: args}
		return c.partial.grow(len(body))
	}
	return c.received(h, name, args, len(body))
}

// control handles packets that are neither events nor answers.
func (c *client) control(h packet.Header, body []byte) error {
	switch h.Type {
	case packet.Connect:
		if body != nil {
			if err := packet.ParseObject(body); err != nil {
				return err
			}
		}
		return c.connect(h.Namespace, bytes.Clone(body))
	case packet.Disconnect:
		if body != nil {
			return packet.ErrShape
		}
		return c.leave(h.Namespace)
	}
	return errState
}

func (c *client) receiveAttachment(data []byte) error {
	p := c.partial
	if p == nil {
		return errBinary
	}
	if err := p.grow(len(data)); err != nil {
		return err
	}
	if p.got = append(p.got, data); len(p.got) < p.header.Attachments {
		return nil
	}
	if !c.completed() {
		return nil
	}
	return c.received(p.header, p.name, p.args.With(p.got), p.size-eventOverhead)
}

// grow charges n more bytes to a packet that waits for attachments.
func (p *partial) grow(n int) error {
	n += eventOverhead
	if p.size > 0 {
		n += attachmentOverhead - eventOverhead
	}
	p.size += n
	return p.client.charge(n)
}

// charge counts n bytes that were received and that handlers haven't taken yet.
func (c *client) charge(n int) error {
	if pending, most := c.pending.Add(int64(n)), c.server.cfg.MaxPendingBytes; pending > int64(most) {
		return &limitError{violationLimit, limitPending, most, pending}
	}
	return nil
}

// settle ends the count of n bytes.
func (c *client) settle(n int) { c.pending.Add(-int64(n)) }

// completed ends the wait for the rest of a packet. It returns false if the wait took too long and
// the connection is being closed.
func (c *client) completed() bool {
	p := c.partial
	if c.partial = nil; p == nil {
		return true
	}
	c.settle(p.size)
	if p.timer.Owner == nil {
		return true
	}
	c.server.partials.drop(p)
	c.server.wheel.Stop(&p.timer)
	return !p.late.Swap(true)
}

// await limits the time until the attachments come, once a read has ended without them. Most come
// with their packet and need no timer.
func (p *partial) await(timeout time.Duration) {
	p.timer.Owner = p
	p.client.server.wheel.Schedule(&p.timer, timeout)
}

// Expire closes the connection.
func (p *partial) Expire(*wheel.Timer) {
	if !p.late.Swap(true) {
		cfg := &p.client.server.cfg
		err := &limitError{violationSlow, limitAttachment, cfg.AttachmentTimeout, nil}
		if p.crowded.Load() {
			err = &limitError{violationSlow, limitPartial, cfg.MaxPartialBytes, cfg.MaxPartialBytes + p.size}
		}
		p.client.exceeded(err)
	}
}

// received takes a whole event or acknowledgement. An acknowledgement goes to its question at once,
// so that a handler can wait for its own client. An event waits for the end of the read.
func (c *client) received(h packet.Header, name []byte, args Args, size int) error {
	s := c.socket(h.Namespace)
	if s == nil {
		return errState
	}
	if h.Type == packet.Ack || h.Type == packet.BinaryAck {
		if n := s.joined(); n != nil {
			n.acks.answered(h.ID, s, args)
		}
		return nil
	}
	if c.rate != nil && !c.rate.Allow() {
		most := c.server.cfg.MaxEventsPerSecond
		return &limitError{violationRate, limitEvents, most, most + 1}
	}
	c.server.metrics.in.Inc()
	e := newEvent(s, h.ID, name, args, size)
	c.append(e)
	return c.charge(e.size)
}

// append adds an event to those of the read. The caller charges it.
func (c *client) append(e *event) {
	if c.last == nil {
		c.first = e
	} else {
		c.last.next = e
	}
	c.last = e
}

// Idle is never called: the engine calls IdleOn.
func (c *client) Idle() {}

// IdleOn hands the events of one read to their sockets.
func (c *client) IdleOn(loop eventloop.Loop) {
	if p := c.partial; p != nil {
		if p.timer.Owner == nil {
			p.await(c.server.cfg.AttachmentTimeout)
		}
		c.server.partials.hold(p)
	}
	c.handOut(func(s *Socket) { s.soon(loop) })
}

// handOut gives the events of one read to their sockets, and calls begin for the idle ones.
func (c *client) handOut(begin func(*Socket)) {
	e := c.first
	c.first, c.last = nil, nil
	for e != nil {
		next := e.next
		e.next = nil
		if s := e.socket; s.enqueue(e) {
			begin(s)
		}
		e = next
	}
}

// socket returns the client's socket in a namespace, connecting or connected, or nil.
func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.socketLocked(namespace)
}

func (c *client) socketLocked(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.namespace == namespace {
			return s
		}
	}
	return nil
}

// connect handles a CONNECT packet. The socket's goroutine decides about it, since middlewares may
// block. Events that arrive before wait for it.
func (c *client) connect(namespace string, auth json.RawMessage) error {
	if !c.server.mayExist(namespace) {
		return c.refuse(namespace, &Error{Message: "Invalid namespace"})
	}
	if err := c.charge(len(auth)); err != nil {
		return err
	}
	s := newSocket(c, namespace, auth)
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	err := errState
	if c.socketLocked(namespace) == nil {
		if most := c.server.cfg.MaxNamespaces; len(c.sockets) < most && int(c.running) < lingering*most {
			c.sockets = append(c.sockets, s)
			c.running++
			err = nil
		} else {
			err = &limitError{violationLimit, limitNamespaces, most, max(len(c.sockets), int(c.running)) + 1}
		}
	}
	c.mu.Unlock()
	if err == nil {
		s.start(s.connect)
	}
	return err
}

// joined stops the connect deadline.
func (c *client) joined() {
	c.mu.Lock()
	d := c.deadline
	c.deadline = nil
	c.mu.Unlock()
	if d != nil {
		c.server.wheel.Stop(&d.timer)
	}
}

// refuse tells the client that it can't join a namespace. The connection stays open.
func (c *client) refuse(namespace string, e *Error) error {
	body, _, err := packet.AppendArgs(nil, nil, refusal{e.Message, e.Data})
	if err != nil {
		return err
	}
	body = body[1 : len(body)-1] // the object alone
	return c.sendPacket(packet.Header{Type: packet.ConnectError, Namespace: namespace, ID: packet.NoID}, packet.Payload{JSON: body})
}

// leave handles a DISCONNECT packet. Events of the same read find the socket gone, as in Node,
// which also dispatches after the whole read.
func (c *client) leave(namespace string) error {
	s := c.socket(namespace)
	if s == nil {
		return errState
	}
	s.end(ReasonClientDisconnect, false)
	return nil
}

// remove forgets a socket that has ended.
func (c *client) remove(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(other *Socket) bool { return other == s })
	if len(c.sockets) == 0 {
		c.sockets = nil
	}
}

// lingering limits the sockets of a connection that have a goroutine, ended ones included, to this
// many times Config.MaxNamespaces. A client that joins and leaves again and again would start
// goroutines faster than middlewares and handlers return.
const lingering = 4

// socketDone counts a socket that has ended and whose goroutine is idle.
func (c *client) socketDone(s *Socket) {
	c.mu.Lock()
	c.running--
	c.mu.Unlock()
	c.settle(len(s.auth))
}

// all lists the client's sockets.
func (c *client) all() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

// send sends the messages of a packet.
func (c *client) send(h packet.Header, ms []*engineio.Message) error {
	if err := c.session.Send(ms...); err != nil {
		return ErrDisconnected
	}
	c.server.cfg.Trace.sent(c.session, h, ms)
	return nil
}

// sendPacket sends a packet whose content is in wire form.
func (c *client) sendPacket(h packet.Header, p packet.Payload) error {
	return c.send(h, c.server.encodePayload(h, p))
}

// exceeded closes the connection of a client that exceeded a limit.
func (c *client) exceeded(e *limitError) {
	fields := []any{"limit", e.limit, "most", e.most, "sid", c.session.ID(), "address", c.session.RemoteAddr()}
	if e.seen != nil {
		fields = append(fields, "seen", e.seen)
	}
	c.server.notices.limits.Warn(c.server.cfg.Log, "connection closed: the client exceeded a limit", fields...)
	c.violated(e.kind, e.limit, e)
}

// violated closes the connection for a fault of the client. The sockets' reasons are Node's: a
// client that is between two polls can't be told at once, and sockets end before it after a packet
// out of order.
func (c *client) violated(kind, limit string, err error) {
	f := &fault{limit: limit, err: err}
	f.sockets, f.namespaces, f.handler, f.since = c.present()
	c.mu.Lock()
	c.doomed = true
	if !c.closed {
		c.server.faults.add(c, f)
	}
	c.mu.Unlock()
	c.server.metrics.violations.WithLabelValues(kind, limit).Inc()
	c.server.cfg.Log.Debug("connection closed because the client broke a rule", "sid", c.session.ID(), "kind", kind, "error", err)
	switch ended := c.session.Close(); {
	case ended:
		c.end(ReasonForcedClose)
	case kind != violationMalformed:
		c.end(ReasonForcedServerClose)
	}
}

// isDoomed reports whether the connection is being closed for the client's fault.
func (c *client) isDoomed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doomed
}

// Upgraded implements eventloop.Upgrader: it tells the connected sockets that the session has moved to WebSocket.
func (c *client) Upgraded() {
	c.server.cfg.Trace.upgraded(c.session)
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		if !s.Connected() {
			continue
		}
		for _, f := range s.nsp.registry.Load().upgrade {
			s.contain("upgrade", func() error { f(s); return nil })
		}
	}
}

// Closed ends all sockets, since the connection has gone.
func (c *client) Closed(reason string, _ error) {
	c.handOut(func(s *Socket) { s.start(nil) })
	if p := c.partial; p != nil {
		c.server.partials.drop(p)
		c.server.wheel.Stop(&p.timer)
		c.partial = nil
	}
	c.end(reason)
	if c.isDoomed() {
		c.server.faults.forget(c)
	}
	c.server.cfg.Trace.closed(c.session, reason)
}

func (c *client) end(reason string) {
	c.mu.Lock()
	c.closed = true
	d := c.deadline
	c.deadline = nil
	c.mu.Unlock()
	if d != nil {
		c.server.wheel.Stop(&d.timer)
	}
	for _, s := range c.all() {
		s.end(reason, false)
	}
}
