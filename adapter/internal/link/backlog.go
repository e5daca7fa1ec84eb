package link

import "time"

// backlog is the messages that wait to be sent, the oldest first. Beyond its bounds it drops the
// oldest. It isn't for concurrent use.
type backlog struct {
	maxMessages, maxBytes int
	maxAge                time.Duration
	metrics               *Metrics
	start                 time.Time // of the clock of Message.queued

	queue []Message // from head on
	head  int
	bytes int // of payloads
	lost  int // messages dropped since sending was paused
}

func newBacklog(cfg Config, m *Metrics) backlog {
	return backlog{maxMessages: cfg.BufferMessages, maxBytes: cfg.BufferBytes, maxAge: cfg.BufferAge, metrics: m, start: time.Now()}
}

func (b *backlog) len() int { return len(b.queue) - b.head }

// push adds a message at the end.
func (b *backlog) push(m Message) {
	m.queued = time.Since(b.start)
	b.queue = append(b.queue, m)
	b.bytes += len(m.Payload)
	b.trim()
}

// pushFront puts messages back at the front.
func (b *backlog) pushFront(first []Message) {
	if len(first) == 0 {
		return
	}
	b.queue = append(first, b.queue[b.head:]...)
	b.head = 0
	for _, m := range first {
		b.bytes += len(m.Payload)
	}
	b.trim()
}

// take appends the next messages to batch, as many as may share one write to Redis. It drops those
// that waited too long.
func (b *backlog) take(batch []Message) []Message {
	now := time.Since(b.start)
	size, old := 0, 0
	for b.len() > 0 && len(batch) < batchMessages && size < batchBytes {
		m := b.pop()
		if now-m.queued > b.maxAge {
			old++
			continue
		}
		size += len(m.Payload)
		batch = append(batch, m)
	}
	b.drop(expired, old)
	return batch
}

// end drops all messages, because the process ends.
func (b *backlog) end() {
	b.drop(shutdown, b.len())
	b.queue, b.head, b.bytes = nil, 0, 0
}

// drop counts n lost messages.
func (b *backlog) drop(reason string, n int) {
	b.lost += n
	b.metrics.Drop(reason, n)
}

// trim drops the oldest messages until the bounds hold.
func (b *backlog) trim() {
	dropped := 0
	for b.len() > b.maxMessages || b.bytes > b.maxBytes {
		b.pop()
		dropped++
	}
	b.drop(bufferFull, dropped)
}

func (b *backlog) pop() Message {
	m := b.queue[b.head]
	b.queue[b.head] = Message{}
	b.head++
	b.bytes -= len(m.Payload)
	switch {
	case b.head == len(b.queue):
		b.queue, b.head = b.queue[:0], 0
	case b.head >= 1024 && b.head > len(b.queue)/2:
		n := copy(b.queue, b.queue[b.head:])
		clear(b.queue[n:])
		b.queue, b.head = b.queue[:n], 0
	}
	return m
}
