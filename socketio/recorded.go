package socketio

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// fault is why the server closes a connection: what the client did, and its sockets then.
type fault struct {
	limit               string // the field of Config that it exceeded; empty: none
	err                 error
	sockets, namespaces []string
	handler             string
	since               time.Time
}

// faults are those of connections that are being closed.
type faults struct {
	mu sync.Mutex
	of map[*client]*fault
}

// add adds the first fault of a client, whose Closed forgets it.
func (f *faults) add(c *client, one *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = make(map[*client]*fault)
	}
	if f.of[c] == nil {
		f.of[c] = one
	}
}

func (f *faults) get(c *client) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[c]
}

func (f *faults) forget(c *client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.of, c)
}

// mostNamed limits the sockets that a record names.
const mostNamed = 8

// present names the client's sockets, and the event that is handled longest.
func (c *client) present() (sockets, namespaces []string, handler string, since time.Time) {
	for i, s := range c.all() {
		if i < mostNamed {
			sockets, namespaces = append(sockets, s.id), append(namespaces, s.namespace)
		}
		if name, at := s.handling(); name != "" && (handler == "" || at.Before(since)) {
			handler, since = name, at
		}
	}
	return sockets, namespaces, handler, since
}

// handling returns the event whose handlers run, if any do, and since when. "connection" stands for
// middlewares and OnConnect.
func (s *Socket) handling() (event string, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.handled != nil:
		return string(s.handled.name), s.handled.began
	case s.state == stateConnecting:
		return "connection", time.UnixMilli(s.issued)
	}
	return "", since
}

var _ eventloop.Ender = (*client)(nil)

// Ended implements eventloop.Ender: it records the end of the session.
func (c *client) Ended(reason string, err error, e *eventloop.Ending) {
	record := c.server.recorder.Load().Ended
	if record == nil {
		return
	}
	end := c.newEnd(reason)
	end.Session, end.Limit = *e, e.Limit
	c.mu.Lock()
	doomed, parted := c.doomed, c.parted > 0
	c.mu.Unlock()
	var f *fault
	if doomed {
		f = c.server.faults.get(c)
	}
	if f != nil {
		err, end.Limit = f.err, f.limit
		end.Sockets, end.Namespaces, end.Handler, end.HandlerSince = f.sockets, f.namespaces, f.handler, f.since
	} else {
		end.Sockets, end.Namespaces, end.Handler, end.HandlerSince = c.present()
	}
	end.By = endedBy(reason, err, e, f != nil)
	if parted && len(end.Sockets) == 0 && f == nil {
		return // its last socket has ended before, and a record says why
	}
	if err != nil {
		end.Detail = err.Error()
	}
	if len(e.Sending) > 0 {
		end.Sending = eventOf(e.Sending)
	}
	record(end)
}

func (c *client) newEnd(reason string) *flight.End {
	return &flight.End{SID: c.session.ID(), Address: c.session.RemoteAddr(), Reason: reason}
}

// endedBy says who ended a session.
func endedBy(reason string, err error, e *eventloop.Ending, fault bool) string {
	switch reason {
	case engineio.ForcedClose:
		if fault || errors.Is(err, eventloop.ErrMoved) {
			return flight.Server
		}
		return flight.App
	case engineio.ShuttingDown:
		return flight.Server
	case engineio.TransportClose:
		if e.CloseCode != 0 || e.Closing {
			return flight.Client
		}
		return flight.Network
	case engineio.TransportError:
		if errors.Is(err, engineio.ErrSlowClient) {
			return flight.Server
		}
		if isNetwork(err) {
			return flight.Network
		}
		return flight.Client
	case engineio.ParseError:
		return flight.Client
	}
	return flight.Network // a ping without an answer
}

// isNetwork reports whether an error is one of a connection.
func isNetwork(err error) bool {
	_, syscallError := errors.AsType[syscall.Errno](err)
	_, netError := errors.AsType[net.Error](err)
	return syscallError || netError || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

// eventOf returns the name of the event in a packet's text, or its type.
func eventOf(text []byte) string {
	h, body, err := packet.Parse(text)
	if err != nil {
		return ""
	}
	if h.Type == packet.Event || h.Type == packet.BinaryEvent {
		if name, _, err := packet.ParseEvent(body, h.Attachments); err == nil {
			return string(name)
		}
	}
	return "a packet of type " + string('0'+rune(h.Type))
}

// mostParted limits the records of single sockets of one session, so that a client that joins and
// leaves doesn't replace the records of others.
const mostParted = 8

// recordEnd records the end of a socket whose session goes on.
func (s *Socket) recordEnd(reason string) {
	by := flight.Client
	switch reason {
	case ReasonServerDisconnect:
		by = flight.App
	case ReasonClientDisconnect:
	default:
		return // the session's record has it
	}
	s.record(&flight.End{Reason: reason, By: by})
}

// recordRefusal records that a socket wasn't let in.
func (s *Socket) recordRefusal(by, why string) {
	s.record(&flight.End{Reason: flight.Refused, By: by, Detail: why})
}

func (s *Socket) record(end *flight.End) {
	c := s.client
	record := c.server.recorder.Load().Ended
	if record == nil {
		return
	}
	c.mu.Lock()
	first := c.parted < mostParted
	if first {
		c.parted++
	}
	c.mu.Unlock()
	if !first {
		return
	}
	end.SID, end.Address = c.session.ID(), c.session.RemoteAddr()
	end.Sockets, end.Namespaces, end.Alive = []string{s.id}, []string{s.namespace}, true
	end.Session = eventloop.Ending{
		Value: c.session.Request().Context().Value, Transport: s.Transport(), At: time.Now(), Opened: time.UnixMilli(s.issued),
	}
	end.Handler, end.HandlerSince = s.handling()
	record(end)
}
