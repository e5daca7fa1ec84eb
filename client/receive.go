package client

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Breaches of the protocol by a server. The client closes the connection with "parse error".
var (
	errStrayBinary  = errors.New("client: binary message without a packet that announced it")
	errMissing      = errors.New("client: packet where an attachment was due")
	errAttachments  = errors.New("client: too many or too large attachments")
	errInboxTooFull = errors.New("client: handlers fell behind by more than MaxQueueBytes")
)

// link receives the messages of one session. It belongs to the goroutine that serves the session.
type link struct {
	client *Client
	conn   *engine.Conn

	decoder packet.Decoder // of Config.Parser; nil: the protocol's own form

	due         int // attachments still to come
	head        packet.Header
	event       string
	args        packet.Args
	attachments [][]byte
	size        int // bytes of the text and of attachments
}

var _ engine.Receiver = (*link)(nil)

func newLink(c *Client, conn *engine.Conn) *link {
	l := &link{client: c, conn: conn}
	if c.set.Parser != nil {
		l.decoder = c.set.Parser.NewDecoder()
	}
	return l
}

// Receive reads one message: a packet, or one of the attachments of the packet before.
func (l *link) Receive(data []byte, binary bool) error {
	switch {
	case l.decoder != nil:
		return l.decode(data, binary)
	case binary && l.due == 0:
		return errStrayBinary
	case binary:
		return l.attach(data)
	case l.due > 0:
		return errMissing
	}
	h, body, err := packet.Parse(data)
	if err != nil {
		return err
	}
	switch h.Type {
	case packet.Event, packet.BinaryEvent, packet.Ack, packet.BinaryAck:
		return l.message(h, body)
	}
	return l.control(h, body)
}

// control handles a packet that is neither an event nor an acknowledgement.
func (l *link) control(h packet.Header, body []byte) error {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.socketLocked(h.Namespace)
	if s == nil {
		return nil
	}
	switch h.Type {
	case packet.Connect:
		return l.answered(s, body)
	case packet.ConnectError:
		l.refused(s, body)
	case packet.Disconnect:
		if s.connected {
			s.active = false
			s.endLocked(ReasonServerDisconnect, nil)
			c.retireLocked()
		}
	}
	return nil
}

// message reads an event or an acknowledgement, which is complete unless attachments follow.
func (l *link) message(h packet.Header, body []byte) error {
	if h.Attachments > l.client.set.MaxAttachments {
		return errAttachments
	}
	if err := l.parse(h, bytes.Clone(body), h.Attachments); err != nil { // it outlives the call
		return err
	}
	if l.due = h.Attachments; l.due > 0 {
		return nil
	}
	return l.dispatch()
}

// parse begins an event or an acknowledgement with its text.
func (l *link) parse(h packet.Header, body []byte, attachments int) (err error) {
	l.head, l.event, l.attachments, l.size = h, "", nil, len(body)
	if h.Type == packet.Event || h.Type == packet.BinaryEvent {
		var name []byte
		name, l.args, err = packet.ParseEvent(body, attachments)
		l.event = string(name)
	} else {
		l.args, err = packet.ParseArgs(body, attachments)
	}
	return err
}

func (l *link) attach(data []byte) error {
	if l.size += len(data); l.size > l.client.set.MaxMessageBytes {
		return errAttachments
	}
	l.attachments = append(l.attachments, bytes.Clone(data))
	if l.due--; l.due > 0 {
		return nil
	}
	l.args = l.args.With(l.attachments)
	return l.dispatch()
}

// dispatch hands a complete event or acknowledgement to its socket.
func (l *link) dispatch() error {
	c := l.client
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.socketLocked(l.head.Namespace)
	args := l.args
	l.args, l.attachments = packet.Args{}, nil
	if s == nil || !s.active {
		return nil
	}
	if l.head.Type == packet.Ack || l.head.Type == packet.BinaryAck {
		if w := s.acks.take(l.head.ID); w != nil { // else nobody waits for it
			w.tellLocked(s, args, nil)
		}
		return nil
	}
	if s.in.full(l.size, c.set.MaxQueueBytes) {
		return fmt.Errorf("%w: namespace %s", errInboxTooFull, s.name)
	}
	t := task{event: l.event, args: args, id: l.head.ID, size: l.size, conn: l.conn}
	if !s.connected {
		s.in.hold(t)
		return nil
	}
	s.session.saw(t)
	s.in.put(t)
	return nil
}
