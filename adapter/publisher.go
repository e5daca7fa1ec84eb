package adapter

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// What goes to Redis in one write: enough that the round trip is shared by many, little enough that Redis answers well
// within the client's timeout.
const (
	batchMessages = 512
	batchBytes    = 1 << 20
)

// How long answers are waited for. A Redis that is frozen, paused or busy carries out what it was
// sent when it goes on: closing the connection then would lose an unknown part of it, and so would
// sending it again double one. Only a connection that is dead for certain is given up: it has
// ended, another Redis answers in the place of this one, or Redis carries out later commands that
// came over other connections, again and again.
const (
	unansweredFor = 3 * time.Second // then Redis is asked how it is
	askedEvery    = time.Second
	passedBy      = 5 // later commands
)

// message is what a form has Redis carry.
type message struct {
	channel string        // or a stream
	payload []byte        // of an entry its data
	entry   *entry        // what else an entry of a stream says; nil: the message is published
	queued  time.Duration // when, since the publisher was made
}

// publisher sends what the process has to say, in the order of the calls. While one batch is under way the next gathers,
// so that batches grow with the load; a lone message leaves at once.
type publisher struct {
	form    form
	conn    *redisconn.Conn
	log     zerolog.Logger
	metrics *metrics
	failed  func() // told when Redis went away while sending
	start   time.Time
	wake    chan struct{}
	batch   []message // being sent; only run uses it, as the next
	lanes   lanes
	overdue *time.Timer   // runs while a batch is under way
	late    chan struct{} // it has run out
	number  atomic.Uint64 // of batches that were begun or ended: odd while one is under way

	maxMessages, maxBytes int
	maxAge                time.Duration

	mu      sync.Mutex // guards the rest
	queue   []message  // oldest first, from head on
	head    int
	bytes   int // payloads in queue
	paused  bool
	ended   bool          // run has returned
	busy    bool          // a batch is under way
	changed chan struct{} // made by drain, closed when a batch ended or sending paused
	lost    int           // dropped since sending was paused

	refusing bool          // Redis answers, and takes no messages that are kept for it
	wordNext time.Duration // when its word may be logged again, since the publisher was made

	doubtful    []message // that Redis left unanswered
	incarnation string    // of Redis when sending was last resumed; empty: not known
	sentTo      string    // the incarnation when the batch was begun
	doubtfulOf  string    // and when the doubtful were sent
}

// newPublisher makes a publisher that is paused: resume lets it go.
func newPublisher(cfg Config, f form, conn *redisconn.Conn, m *metrics, failed func()) *publisher {
	p := &publisher{
		form: f, conn: conn, log: cfg.Log, metrics: m, failed: failed,
		start: time.Now(), wake: make(chan struct{}, 1), paused: true,
		maxMessages: cfg.BufferMessages, maxBytes: cfg.BufferBytes, maxAge: cfg.BufferAge,
		late: make(chan struct{}, 1),
	}
	p.overdue = time.AfterFunc(time.Hour, func() {
		select {
		case p.late <- struct{}{}:
		default:
		}
	})
	p.overdue.Stop()
	return p
}

// send queues a message; it takes over its payload. A message that may be lost is, when Redis is away.
func (p *publisher) send(m message, mayBeLost bool) {
	m.queued = time.Since(p.start)
	p.mu.Lock()
	switch {
	case p.ended:
		p.mu.Unlock()
		p.metrics.drop(shutdown, 1)
		return
	case p.paused && mayBeLost:
		p.mu.Unlock()
		p.metrics.drop(volatile, 1)
		return
	}
	p.queue = append(p.queue, m)
	p.bytes += len(m.payload)
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

// trimLocked drops the oldest until the bounds hold.
func (p *publisher) trimLocked() {
	dropped := 0
	for len(p.queue)-p.head > p.maxMessages || p.bytes > p.maxBytes {
		p.popLocked()
		dropped++
	}
	p.lost += dropped
	p.metrics.drop(bufferFull, dropped)
}

func (p *publisher) popLocked() message {
	m := p.queue[p.head]
	p.queue[p.head] = message{}
	p.head++
	p.bytes -= len(m.payload)
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

// run sends until ctx ends. What is left then is counted as lost.
func (p *publisher) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.lanes.end)()
	defer p.lanes.end()
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
	p.metrics.drop(shutdown, len(p.queue)-p.head)
	p.metrics.drop(uncertain, len(p.doubtful))
	p.queue, p.head, p.bytes, p.ended = nil, 0, 0, true
	return nil
}

// watch decides about batches that Redis leaves unanswered, until ctx ends. Another tells whether
// Redis is another one than incarnation names, and passes whether it carries out a command that
// comes now.
func (p *publisher) watch(ctx context.Context, another func(ctx context.Context, incarnation string) bool, passes func(context.Context) bool) error {
	for {
		select {
		case <-p.late:
		case <-ctx.Done():
			return nil
		}
		batch := p.number.Load()
		dead := batch%2 == 1 && p.conn.Cluster() // other nodes serve: their messages wait for this one's
		for passed := 0; !dead && batch%2 == 1 && p.number.Load() == batch && ctx.Err() == nil; rest(ctx, askedEvery) {
			p.mu.Lock()
			sentTo := p.sentTo
			p.mu.Unlock()
			if passes(ctx) {
				passed++
			}
			dead = passed == passedBy || another(ctx, sentTo)
		}
		if dead && p.lanes.interrupt(func() bool { return p.number.Load() == batch }) {
			p.log.Warn().Msg("Redis leaves messages unanswered on a connection that is given up")
		}
	}
}

// take moves the next messages from the queue into the batch, and those that waited too long nowhere.
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
		size += len(m.payload)
		p.batch = append(p.batch, m)
	}
	p.lost += old
	p.metrics.drop(expired, old)
	p.busy, p.sentTo = len(p.batch) > 0, p.incarnation
	return p.busy
}

// publish sends the batch and tells which messages are to be sent again.
func (p *publisher) publish(ctx context.Context) (again []message) {
	var doubtful []message
	var word error // of Redis, which does not want messages
	sent := 0
	for i, err := range p.lanes.send(ctx, p.conn, p.form, p.batch) {
		switch outcome(err) {
		case "":
			p.metrics.out.Inc()
			sent++
		case refused:
			p.metrics.drop(refused, 1)
			word = err
		case uncertain:
			doubtful = append(doubtful, p.batch[i])
		case away:
			again = append(again, p.batch[i])
			if answered(err) {
				word = err
			}
		}
	}
	p.note(word, len(again) > 0, sent > 0)
	if len(doubtful) > 0 {
		p.mu.Lock()
		p.paused = true
		p.doubtful, p.doubtfulOf = append(p.doubtful, doubtful...), p.sentTo
		p.mu.Unlock()
	}
	return again
}

// answered tells whether err is Redis's word about a message that it may take later.
func answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && !errors.Is(redisconn.Classify(err), redisconn.ErrMoved)
}

// note logs what Redis says of messages that it does not take, at most once in 10 s. While it takes
// none that are kept, each try to send them is the same outage: its end is when some were taken.
func (p *publisher) note(word error, kept, sent bool) {
	now := time.Since(p.start)
	p.mu.Lock()
	was := p.refusing
	p.refusing = word != nil && kept || was && !sent
	ended := was && !p.refusing
	tell := word != nil && now >= p.wordNext
	if tell {
		p.wordNext = now + complaintEvery
	}
	lost := p.lost
	if ended {
		p.lost = 0
	}
	p.mu.Unlock()
	switch {
	case tell && kept:
		p.log.Warn().Err(word).Msg("Redis takes no messages between servers; they are kept")
	case tell:
		p.log.Error().Err(word).Msg("Redis refuses a message between servers")
	}
	if ended {
		p.log.Info().Int("dropped", lost).Msg("Redis takes messages between servers again")
	}
}

// away is the outcome of a message that Redis has certainly not carried out, or whose answer can no longer come.
const away = "away"

// outcome tells what became of a message whose command ended with err.
func outcome(err error) string {
	var op *net.OpError
	var timeout net.Error
	switch {
	case err == nil:
		return ""
	case errors.Is(redisconn.Classify(err), redisconn.ErrMoved):
		return away
	case !errors.Is(redisconn.Classify(err), redisconn.ErrUnreachable):
		return refused
	case errors.As(err, &op) && op.Op == "dial":
		return away
	case errors.Is(err, net.ErrClosed): // we did not wait any longer
		return uncertain
	case errors.As(err, &timeout) && timeout.Timeout():
		return uncertain
	}
	return away
}

// done ends a batch; what is to be sent again goes back to the front.
func (p *publisher) done(again []message) {
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

// settle decides, once Redis answers, about messages that it left unanswered. The process that was asked has them in its
// socket and carries them out when it goes on, so that they must not be said twice; if another process answers, one that was
// started since or another master, it never heard of them. Incarnation names who answers; empty: nobody knows.
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
	p.metrics.drop(uncertain, len(doubtful))
	p.lost += len(doubtful)
}

// requeueLocked puts messages in front of all that wait.
func (p *publisher) requeueLocked(first []message) {
	if len(first) == 0 {
		return
	}
	p.queue = append(first, p.queue[p.head:]...)
	p.head = 0
	for _, m := range first {
		p.bytes += len(m.payload)
	}
	p.trimLocked()
}

// pause keeps messages from now on.
func (p *publisher) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = true
	p.tellLocked()
}

// resume sends what was kept, and goes on. It is the end of an outage: what that cost is logged.
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
		return // one try of many
	}
	p.lost = 0
	p.mu.Unlock()
	p.signal()
	switch {
	case lost > 0:
		p.log.Warn().Int("dropped", lost).Int("kept", kept).Msg("messages to other servers were lost while Redis was away")
	case kept > 0:
		p.log.Info().Int("kept", kept).Msg("sending the messages to other servers that waited for Redis")
	}
}

func (p *publisher) tellLocked() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// drain returns when everything is sent, nothing can be, or ctx ended.
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
