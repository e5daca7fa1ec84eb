package link

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
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

// publisher sends the messages of the process in the order of the calls. While one batch is under
// way the next gathers, so batches grow with the load. A lone message leaves at once.
type publisher struct {
	log       *slog.Logger
	metrics   *Metrics
	failed    func() // called when Redis went away during a send
	wake      chan struct{}
	pipelines *pipelines
	watchdog  *watchdog
	batch     []Message // being sent; only run uses it
	sentTo    string    // the incarnation of Redis when the batch was begun; only run uses it

	mu          sync.Mutex // guards the rest
	waiting     backlog
	paused      bool
	ended       bool          // run has returned
	busy        bool          // a batch is under way
	changed     chan struct{} // made by drain, closed when a batch ended or sending paused
	refusals    refusals
	doubtful    doubtful
	incarnation string // of Redis when sending last resumed; empty: unknown
}

// doubtful are messages that Redis left unanswered.
type doubtful struct {
	messages []Message
	sentTo   string // the incarnation that may carry them out
}

// newPublisher makes a paused publisher. Resume starts it.
func newPublisher(cfg Config, f Form, conn *redisconn.Conn, m *Metrics, failed func()) *publisher {
	p := &publisher{
		log: cfg.Log, metrics: m, failed: failed, wake: make(chan struct{}, 1), paused: true,
		pipelines: &pipelines{conn: conn, form: f}, waiting: newBacklog(cfg, m),
	}
	p.watchdog = newWatchdog(p.pipelines, cfg.Log)
	return p
}

// send queues a message and takes over its payload. It drops a message that may be lost while Redis
// is away.
func (p *publisher) send(m Message, mayBeLost bool) {
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
	p.waiting.push(m)
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
		p.watchdog.begin(p.sentTo)
		again := p.publish(ctx)
		p.watchdog.end()
		p.done(again)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting.end()
	p.metrics.Drop(uncertain, len(p.doubtful.messages))
	p.ended = true
	return nil
}

// take moves the next messages from the backlog into the batch.
func (p *publisher) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return false
	}
	p.batch = p.waiting.take(p.batch)
	p.busy, p.sentTo = len(p.batch) > 0, p.incarnation
	return p.busy
}

// publish sends the batch and returns the messages that must be sent again.
func (p *publisher) publish(ctx context.Context) (again []Message) {
	var unanswered []Message
	var refusal error // Redis's answer to a message that it doesn't take
	sent := 0
	for i, err := range p.pipelines.send(ctx, p.batch) {
		switch Outcome(err) {
		case "":
			p.metrics.out.Inc()
			sent++
		case Refused:
			p.metrics.Drop(Refused, 1)
			refusal = err
		case uncertain:
			unanswered = append(unanswered, p.batch[i])
		case Away:
			again = append(again, p.batch[i])
			if Answered(err) {
				refusal = err
			}
		}
	}
	p.note(refusal, len(again) > 0, sent > 0)
	if len(unanswered) > 0 {
		p.mu.Lock()
		p.paused = true
		p.doubtful.messages, p.doubtful.sentTo = append(p.doubtful.messages, unanswered...), p.sentTo
		p.mu.Unlock()
	}
	return again
}

// Answered reports whether err is Redis's answer about a message that it may take later.
func Answered(err error) bool {
	var answer redis.Error
	return errors.As(err, &answer) && !errors.Is(redisconn.Classify(err), redisconn.ErrMoved)
}

// note logs Redis's refusals.
func (p *publisher) note(refusal error, kept, sent bool) {
	p.mu.Lock()
	tell, ended := p.refusals.note(refusal != nil, kept, sent)
	lost := p.waiting.lost
	if ended {
		p.waiting.lost = 0
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

// refusals says when to log that Redis refuses messages: at most once in 10 s. As long as Redis
// refuses the kept messages, all attempts to send them are one outage, which ends when Redis takes
// some.
type refusals struct {
	going   bool // Redis answers, but refuses messages that are kept for it
	nextLog time.Time
}

// note takes how a batch ended: whether Redis refused a message, whether some are kept, and whether
// it took some.
func (r *refusals) note(refused, kept, sent bool) (tell, ended bool) {
	was := r.going
	r.going = refused && kept || was && !sent
	now := time.Now()
	if tell = refused && !now.Before(r.nextLog); tell {
		r.nextLog = now.Add(ComplaintEvery)
	}
	return tell, was && !r.going
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
		p.waiting.pushFront(again)
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
	sentTo := cmp.Or(p.doubtful.sentTo, p.incarnation)
	another := incarnation != "" && sentTo != "" && incarnation != sentTo
	if incarnation != "" {
		p.incarnation = incarnation
	}
	messages := p.doubtful.messages
	p.doubtful = doubtful{}
	if another {
		p.waiting.pushFront(messages)
	} else {
		p.waiting.drop(uncertain, len(messages))
	}
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
	kept, lost := p.waiting.len(), p.waiting.lost
	p.paused = false
	if p.refusals.going {
		p.mu.Unlock()
		p.signal()
		return // one attempt of many
	}
	p.waiting.lost = 0
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
		if p.paused || !p.busy && p.waiting.len() == 0 {
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
