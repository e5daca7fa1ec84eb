package link

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// The bounds of one write to Redis: enough for many messages to share a round trip, little enough
// for Redis to answer well within the client's timeout.
const (
	batchMessages = 512
	batchBytes    = 1 << 20
)

// How long the publisher waits for answers. A Redis that is frozen, paused or busy carries out its
// commands when it goes on. Closing the connection would lose an unknown part of them, and sending
// them again would double an unknown part. So the publisher gives up a connection only when it is
// certainly dead: it has ended, another Redis answers in its place, or Redis keeps carrying out
// later commands that came over other connections. In a Redis Cluster the messages of the other
// nodes wait too, so there it also gives up a connection to a node that leaves a later command
// unanswered. A node that is only slow keeps its connection: closing it would lose a whole batch.
const (
	unansweredFor = 2 * time.Second // then Redis is asked how it is
	askedEvery    = time.Second
	passedBy      = 6 // later commands
)

// publisher sends the messages of the process in the order of the calls. While one batch is under
// way the next gathers, so batches grow with the load. A lone message leaves at once.
type publisher struct {
	form      Form
	conn      *redisconn.Conn
	log       *slog.Logger
	metrics   *Metrics
	failed    func() // called when Redis went away during a send
	start     time.Time
	wake      chan struct{}
	batch     []Message // being sent; only run uses it, as the next
	pipelines pipelines
	overdue   *time.Timer   // runs while a batch is under way
	slowBatch chan struct{} // overdue has run out
	number    atomic.Uint64 // of batches that were begun or ended: odd while one is under way

	maxMessages, maxBytes int
	maxAge                time.Duration

	mu      sync.Mutex // guards the rest
	queue   []Message  // oldest first, from head on
	head    int
	bytes   int // payloads in queue
	paused  bool
	ended   bool          // run has returned
	busy    bool          // a batch is under way
	changed chan struct{} // made by drain, closed when a batch ended or sending paused
	lost    int           // dropped since sending was paused

	refusing bool          // Redis answers, but refuses messages that are kept for it
	nextLog  time.Duration // when a refusal may be logged again, since the publisher was made

	doubtful    []Message // that Redis left unanswered
	incarnation string    // of Redis when sending last resumed; empty: unknown
	sentTo      string    // the incarnation when the batch was begun
	doubtfulOf  string    // and when the doubtful were sent
}

// newPublisher makes a paused publisher. Resume starts it.
func newPublisher(cfg Config, f Form, conn *redisconn.Conn, m *Metrics, failed func()) *publisher {
	p := &publisher{
		form: f, conn: conn, log: cfg.Log, metrics: m, failed: failed,
		start: time.Now(), wake: make(chan struct{}, 1), paused: true,
		maxMessages: cfg.BufferMessages, maxBytes: cfg.BufferBytes, maxAge: cfg.BufferAge,
		slowBatch: make(chan struct{}, 1),
	}
	p.overdue = time.AfterFunc(time.Hour, func() {
		select {
		case p.slowBatch <- struct{}{}:
		default:
		}
	})
	p.overdue.Stop()
	return p
}

// send queues a message and takes over its payload. It drops a message that may be lost while Redis
// is away.
func (p *publisher) send(m Message, mayBeLost bool) {
	m.queued = time.Since(p.start)
	p.mu.Lock()
	switch {
	case p.ended:
		p.mu.Unlock()
		p.metrics.Drop(shutdown, 1)
		return
	case p.paused && mayBeLost:
		p.mu.Unlock()
		p.metrics.Drop(volatile, 1)
		return
	}
	p.queue = append(p.queue, m)
	p.bytes += len(m.Payload)
	p.trimLocked()
	wake := !p.paused && !p.busy
	p.mu.Unlock()
	if wake {
		p.signal()
	}
}

func (p *publisher) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// trimLocked drops the oldest messages until the bounds hold.
func (p *publisher) trimLocked() {
	dropped := 0
	for len(p.queue)-p.head > p.maxMessages || p.bytes > p.maxBytes {
		p.popLocked()
		dropped++
	}
	p.lost += dropped
	p.metrics.Drop(bufferFull, dropped)
}

func (p *publisher) popLocked() Message {
	m := p.queue[p.head]
	p.queue[p.head] = Message{}
	p.head++
	p.bytes -= len(m.Payload)
	switch {
	case p.head == len(p.queue):
		p.queue, p.head = p.queue[:0], 0
	case p.head >= 1024 && p.head > len(p.queue)/2:
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	return m
}

// run sends until ctx ends. It counts the messages that are left then as lost.
func (p *publisher) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.pipelines.end)()
	defer p.pipelines.end()
	for ctx.Err() == nil {
		if !p.take() {
			select {
			case <-p.wake:
			case <-ctx.Done():
			}
			continue
		}
		p.number.Add(1)
		p.overdue.Reset(unansweredFor)
		again := p.publish(ctx)
		p.overdue.Stop()
		p.number.Add(1)
		p.done(again)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.metrics.Drop(shutdown, len(p.queue)-p.head)
	p.metrics.Drop(uncertain, len(p.doubtful))
	p.queue, p.head, p.bytes, p.ended = nil, 0, 0, true
	return nil
}

// watch decides, until ctx ends, about batches that Redis leaves unanswered. Replaced reports
// whether another Redis answers than the one of an incarnation. Silent returns those of the nodes
// that don't carry out a new command.
func (p *publisher) watch(ctx context.Context, replaced func(ctx context.Context, incarnation string) bool, silent func(context.Context, []*redis.Client) []*redis.Client) error {
	for {
		select {
		case <-p.slowBatch:
		case <-ctx.Done():
			return nil
		}
		batch := p.number.Load()
		unanswered := func() bool { return batch%2 == 1 && p.number.Load() == batch && ctx.Err() == nil }
		for passed := 0; unanswered(); sleep(ctx, askedEvery) {
			p.mu.Lock()
			sentTo := p.sentTo
			p.mu.Unlock()
			waiting := p.pipelines.waitingFor()
			dead := silent(ctx, waiting)
			if len(dead) == 0 {
				passed++
			}
			if !p.conn.Cluster() {
				dead = nil
			}
			if passed == passedBy || replaced(ctx, sentTo) {
				dead = waiting
			}
			if len(dead) > 0 && p.pipelines.interrupt(dead, unanswered) {
				p.log.Warn("Redis doesn't answer messages; the connection is closed")
			}
		}
	}
}

// take moves the next messages from the queue into the batch and drops those that waited too long.
func (p *publisher) take() bool {
	now := time.Since(p.start)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return false
	}
	size, old := 0, 0
	for p.head < len(p.queue) && len(p.batch) < batchMessages && size < batchBytes {
		m := p.popLocked()
		if now-m.queued > p.maxAge {
			old++
			continue
		}
		size += len(m.Payload)
		p.batch = append(p.batch, m)
	}
	p.lost += old
	p.metrics.Drop(expired, old)
	p.busy, p.sentTo = len(p.batch) > 0, p.incarnation
	return p.busy
}

// publish sends the batch and returns the messages that must be sent again.
func (p *publisher) publish(ctx context.Context) (again []Message) {
	var doubtful []Message
	var refusal error // Redis's answer to a message that it doesn't take
	sent := 0
	for i, err := range p.pipelines.send(ctx, p.conn, p.form, p.batch) {
		switch Outcome(err) {
		case "":
			p.metrics.out.Inc()
			sent++
		case Refused:
			p.metrics.Drop(Refused, 1)
			refusal = err
		case uncertain:
			doubtful = append(doubtful, p.batch[i])
		case Away:
			again = append(again, p.batch[i])
			if Answered(err) {
				refusal = err
			}
		}
	}
	p.note(refusal, len(again) > 0, sent > 0)
	if len(doubtful) > 0 {
		p.mu.Lock()
		p.paused = true
		p.doubtful, p.doubtfulOf = append(p.doubtful, doubtful...), p.sentTo
		p.mu.Unlock()
	}
	return again
}

// Answered reports whether err is Redis's answer about a message that it may take later.
func Answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && !errors.Is(redisconn.Classify(err), redisconn.ErrMoved)
}

// note logs Redis's refusals, at most once in 10 s. As long as Redis refuses the kept messages, all
// attempts to send them are one outage, which ends when Redis takes some.
func (p *publisher) note(refusal error, kept, sent bool) {
	now := time.Since(p.start)
	p.mu.Lock()
	was := p.refusing
	p.refusing = refusal != nil && kept || was && !sent
	ended := was && !p.refusing
	tell := refusal != nil && now >= p.nextLog
	if tell {
		p.nextLog = now + ComplaintEvery
	}
	lost := p.lost
	if ended {
		p.lost = 0
	}
	p.mu.Unlock()
	switch {
	case tell && kept:
		p.log.Warn("Redis refuses messages between servers; they are kept", "error", refusal)
	case tell:
		p.log.Error("Redis refuses a message between servers", "error", refusal)
	}
	if ended {
		p.log.Info("Redis accepts messages between servers again", "dropped", lost)
	}
}

// Away is the outcome of a message that Redis has certainly not carried out, or whose answer can't
// come any more.
const Away = "away"

// Outcome classifies the error of a message's command: the empty string for success, Away, Refused,
// or uncertain.
func Outcome(err error) string {
	var op *net.OpError
	var timeout net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(redisconn.Classify(err), redisconn.ErrMoved):
		return Away
	case !errors.Is(redisconn.Classify(err), redisconn.ErrUnreachable):
		return Refused
	case errors.As(err, &op) && op.Op == "dial":
		return Away
	case errors.Is(err, net.ErrClosed): // we gave up
		return uncertain
	case errors.As(err, &timeout) && timeout.Timeout():
		return uncertain
	}
	return Away
}

// done ends a batch. The messages to send again go back to the front of the queue.
func (p *publisher) done(again []Message) {
	clear(p.batch)
	p.batch = p.batch[:0]
	p.mu.Lock()
	if len(again) > 0 {
		p.paused = true
		p.requeueLocked(again)
	}
	p.busy = false
	paused := p.paused
	p.tellLocked()
	p.mu.Unlock()
	if paused {
		p.failed()
	}
}

// settle decides, once Redis answers, about messages that it left unanswered. The process that was
// asked has them in its socket and carries them out when it goes on, so they must not be sent
// twice. If another process answers, after a restart or a failover, it never received them.
// Incarnation names the process that answers; empty means unknown.
func (p *publisher) settle(incarnation string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sentTo := cmp.Or(p.doubtfulOf, p.incarnation)
	another := incarnation != "" && sentTo != "" && incarnation != sentTo
	p.doubtfulOf = ""
	if incarnation != "" {
		p.incarnation = incarnation
	}
	doubtful := p.doubtful
	p.doubtful = nil
	if another {
		p.requeueLocked(doubtful)
		return
	}
	p.metrics.Drop(uncertain, len(doubtful))
	p.lost += len(doubtful)
}

// requeueLocked puts messages at the front of the queue.
func (p *publisher) requeueLocked(first []Message) {
	if len(first) == 0 {
		return
	}
	p.queue = append(first, p.queue[p.head:]...)
	p.head = 0
	for _, m := range first {
		p.bytes += len(m.Payload)
	}
	p.trimLocked()
}

// pause stops sending; the queue keeps messages from now on.
func (p *publisher) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
	p.tellLocked()
}

// resume sends the kept messages and goes on. This ends an outage, so it logs what was lost.
func (p *publisher) resume() {
	p.mu.Lock()
	if !p.paused {
		p.mu.Unlock()
		return
	}
	kept, lost := len(p.queue)-p.head, p.lost
	p.paused = false
	if p.refusing {
		p.mu.Unlock()
		p.signal()
		return // one attempt of many
	}
	p.lost = 0
	p.mu.Unlock()
	p.signal()
	switch {
	case lost > 0:
		p.log.Warn("messages to other servers were lost while Redis was away", "dropped", lost, "kept", kept)
	case kept > 0:
		p.log.Info("sending the messages to other servers that waited for Redis", "kept", kept)
	}
}

func (p *publisher) tellLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// drain returns when everything has been sent, nothing can be sent, or ctx has ended.
func (p *publisher) drain(ctx context.Context) {
	for {
		p.mu.Lock()
		if p.paused || !p.busy && p.head == len(p.queue) {
			p.mu.Unlock()
			return
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
