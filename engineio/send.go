package engineio

// corkBytes is how much a cork holds back at most.
const corkBytes = 16 << 10

// Send sends the messages in order, with no others between them. It never blocks: the session
// queues what the transport doesn't take at once. It returns ErrClosed or ErrSlowClient if the
// session has ended.
func (s *Session) Send(ms ...*Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return ErrClosed
	}
	s.server.traffic.send(s, ms)
	return s.sendLocked(ms...)
}

// SendVolatile sends the messages, or drops them if the client isn't ready: no poll is pending, the
// WebSocket still has something to write, or something waits under a Cork. It reports whether it
// sent them.
func (s *Session) SendVolatile(ms ...*Message) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return false
	}
	if s.ws != nil {
		if s.ws.blocked || len(s.ws.out.items) > 0 {
			return false
		}
	} else if s.polling.poll == nil || len(s.out.items) > 0 {
		return false
	}
	s.server.traffic.send(s, ms)
	return s.sendLocked(ms...) == nil
}

// Cork holds messages back until an Uncork for each Cork, so that they leave in one write, or in
// several of 16 KB.
func (s *Session) Cork() {
	s.mu.Lock()
	s.corks++
	s.mu.Unlock()
}

// Uncork ends a Cork.
func (s *Session) Uncork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.corks--; s.corks == 0 {
		s.flushLocked()
	}
}

func (s *Session) sendLocked(ms ...*Message) error {
	if s.ws != nil {
		return s.ws.sendLocked(ms...)
	}
	full := s.polling.poll == nil && len(s.out.items) > 0
	s.out.push(ms...)
	if s.out.exceeds(s.server.cfg.MaxQueueBytes, full, ms) {
		s.endLocked(TransportError, ErrSlowClient)
		return ErrSlowClient
	}
	if s.corks == 0 || s.out.bytes >= corkBytes {
		s.answerLocked()
	}
	return nil
}

// flushLocked passes the queue to the transport, as far as that takes it.
func (s *Session) flushLocked() {
	if s.ws != nil {
		s.ws.flushLocked()
	} else if s.state != stateClosed {
		s.answerLocked()
	}
}

// outbox is a queue of messages, the first of which may be written in part.
type outbox struct {
	items []*Message
	off   int // bytes of items[0]'s frame that are written
	bytes int // of all frames, uncompressed, less off
}

// messageBytes is the memory of a waiting message beside its frame. It counts, or a client that
// only sends pings and reads nothing could make the server keep fifty times MaxQueueBytes.
const messageBytes = 96

// size returns the queue's bytes, as Config.MaxQueueBytes counts them.
func (o *outbox) size() int { return o.bytes + len(o.items)*messageBytes }

// exceeds reports whether the queue would exceed limit with ms. One message may be longer than
// limit if nothing is stuck before it.
func (o *outbox) exceeds(limit int, stuck bool, ms []*Message) bool {
	over := o.size() - limit
	if over > 0 && !stuck {
		longest := 0
		for _, m := range ms {
			longest = max(longest, len(m.frame)+messageBytes)
		}
		over -= longest
	}
	return over > 0
}

func (o *outbox) push(ms ...*Message) {
	for _, m := range ms {
		o.bytes += len(m.frame)
	}
	o.items = append(o.items, ms...)
}

// keepItems is the largest queue whose array an idle session keeps.
const keepItems = 16

// drop removes the first n messages. It moves the rest up only if that is no longer, so that a long
// queue isn't moved for each message.
func (o *outbox) drop(n int) {
	for _, m := range o.items[:n] {
		o.bytes -= len(m.frame)
	}
	o.bytes += o.off
	o.off = 0
	rest := len(o.items) - n
	if rest > n {
		clear(o.items[:n])
		o.items = o.items[n:]
		return
	}
	copy(o.items, o.items[n:])
	clear(o.items[rest:])
	o.items = o.items[:rest]
	if rest == 0 && cap(o.items) > keepItems {
		o.items = nil
	}
}

// take empties the queue, of at most max messages if max is above 0, and returns them.
func (o *outbox) take(max int) []*Message {
	n := len(o.items)
	if max > 0 && n > max {
		n = max
	}
	ms := append([]*Message(nil), o.items[:n]...)
	o.drop(n)
	return ms
}

func (o *outbox) clear() { *o = outbox{} }
