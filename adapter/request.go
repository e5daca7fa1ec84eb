package adapter

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// call is a request whose answers are awaited.
type call interface {
	// answer takes one answer; an odd one is refused.
	answer(a wire.Response) (understood bool)
	// owing are the peers of whom more is awaited.
	owing() []string
	// lose says that uid will not answer.
	lose(uid string)
	// fail ends the call.
	fail(err error)
}

// calls are a namespace's requests that are under way, by id.
type calls struct {
	mu   sync.RWMutex
	byID map[string]call
}

func (c *calls) add(id string, pending call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = make(map[string]call)
	}
	c.byID[id] = pending
}

func (c *calls) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

// get finds a call without allocating.
func (c *calls) get(id []byte) call {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[string(id)]
}

func (c *calls) all() []call {
	c.mu.RLock()
	defer c.mu.RUnlock()
	all := make([]call, 0, len(c.byID))
	for _, pending := range c.byID {
		all = append(all, pending)
	}
	return all
}

func (c *calls) failAll(err error) {
	for _, pending := range c.all() {
		pending.fail(err)
	}
}

func (c *calls) lose(uid string) {
	for _, pending := range c.all() {
		pending.lose(uid)
	}
}

// waiter is what all calls have in common: a tally, and an end.
type waiter struct {
	mu    sync.Mutex    // guards the rest, and everything of the call that embeds it
	tally *tally        // not touched once the call is over
	ended chan struct{} // closed by the first end
	err   error
	over  bool
}

func newWaiter(t *tally) waiter { return waiter{tally: t, ended: make(chan struct{})} }

func (w *waiter) endLocked(err error) {
	if !w.over {
		w.over, w.err = true, err
		close(w.ended)
	}
}

func (w *waiter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endLocked(err)
}

// wait returns when the call has ended, for which it sees to itself when ctx ends. Nothing is accepted afterwards. While it
// lasts, look is called, at first soon and then more and more seldom.
func (w *waiter) wait(ctx context.Context, look func()) error {
	pause := firstLook
	t := time.NewTimer(pause)
	defer t.Stop()
	for {
		select {
		case <-w.ended:
			return w.err
		case <-ctx.Done():
			w.fail(context.Cause(ctx))
			return w.err
		case <-t.C:
			look()
			pause = min(2*pause, beatEvery)
			t.Reset(pause)
		}
	}
}

// firstLook is when a call begins to ask who of those that it waits for is still there. Answers take a few milliseconds.
const firstLook = 250 * time.Millisecond

// question is a call with one answer from each server.
type question struct {
	waiter
	accept func(wire.Response) bool
}

func (q *question) answer(a wire.Response) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over || q.tally.has(a.UID) {
		return true
	}
	if !q.accept(a) {
		return false
	}
	q.tally.add(a.UID)
	if q.tally.complete() {
		q.endLocked(nil)
	}
	return true
}

func (q *question) owing() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tally.missing()
}

func (q *question) lose(uid string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return
	}
	if q.tally.lose(uid); q.tally.complete() {
		q.endLocked(nil)
	}
}

// ask sends a request and waits for one answer from each server. Accept runs under the call's lock, never after ask
// returned.
func (n *namespace) ask(ctx context.Context, q wire.Request, timeoutText func(*tally) string, accept func(wire.Response) bool) error {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	t, err := n.prepare(ctx)
	if err != nil || t.expected == 0 {
		return n.outcome(err, t)
	}
	pending := &question{waiter: newWaiter(t), accept: accept}
	err = n.send(ctx, n.talk.counted(), q, pending, &pending.waiter)
	return n.outcome(n.explain(err, t, timeoutText), t)
}

// explain says what a request was waiting for when its time was over.
func (n *namespace) explain(err error, t *tally, text func(*tally) string) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	e := &TimeoutError{Text: text(t), Answered: t.got, Expected: t.expected}
	for _, uid := range t.missing() {
		e.Missing = append(e.Missing, cluster.Peer{ID: uid, Name: n.r.peers.name(uid)})
	}
	return e
}

// withTimeout bounds a request that its caller did not bound.
func (n *namespace) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, n.r.cfg.RequestsTimeout)
}

// prepare finds out whom to wait for. A process that has heard Redis before fails at once when it does not now; one that
// is just starting, or opened the namespace just now, waits until it would hear the answers.
func (n *namespace) prepare(ctx context.Context) (*tally, error) {
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	return n.census(ctx)
}

// ready returns when answers would be heard, or why they would not. The subscription is down a moment before anybody is told:
// who begins to wait for it then is told, too, since it may be down for long.
func (n *namespace) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id := newRequestID()
	n.calls.add(id, hope(cancel))
	defer n.calls.remove(id)
	switch {
	case n.closed.Load():
		return ErrClosed
	case n.r.known.Load() && !n.r.up.Load():
		return ErrAway
	}
	err := n.r.Wait(ctx)
	switch cause := context.Cause(ctx); {
	case err == nil:
		return nil
	case errors.Is(cause, ErrAway), errors.Is(cause, ErrClosed):
		return cause
	}
	return errors.Join(ErrAway, err)
}

// hope is a call that has not been made yet.
type hope context.CancelCauseFunc

func (hope) answer(wire.Response) bool { return false }
func (hope) owing() []string           { return nil }
func (hope) lose(string)               {}
func (h hope) fail(err error)          { h(err) }

// send publishes a request on a channel and waits for its end.
func (n *namespace) send(ctx context.Context, channel string, q wire.Request, pending call, w *waiter) error {
	id := newRequestID()
	q.UID, q.ID = n.uid, strconv.AppendQuote(nil, id)
	m, err := n.talk.request(q)
	if err != nil {
		return err
	}
	m.channel = channel
	n.calls.add(id, pending)
	defer n.calls.remove(id)
	if err := n.publish(m, false); err != nil {
		return err
	}
	if !n.r.up.Load() {
		return ErrAway // lost since prepare; onDown may not have seen this call
	}
	return w.wait(ctx, func() { n.loseDead(ctx, pending) })
}

// outcome counts how a request ended.
func (n *namespace) outcome(err error, t *tally) error {
	label := "failed"
	switch {
	case err == nil && t.expected == 0:
		label = "alone"
	case err == nil:
		label = "complete"
	case errors.Is(err, ErrAway):
		label = "away"
	case errors.Is(err, ErrClosed):
		label = "closed"
	case errors.Is(err, context.DeadlineExceeded):
		label = "timeout"
	case errors.Is(err, context.Canceled):
		label = "canceled"
	}
	n.r.metrics.requests.WithLabelValues(label).Inc()
	return err
}

// survey is a broadcast with acks: from each server first the number of clients asked there, then their answers.
type survey struct {
	waiter
	counted  func(clients int)
	answered func(packet.Payload)
	open     int            // clients counted, less answers
	byPeer   map[string]int // the same, of those that sign their answers
}

func (s *survey) answer(a wire.Response) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return true
	}
	switch a.Type {
	case wire.BroadcastClientCount:
		if !s.tally.add(a.UID) {
			return true
		}
		s.openLocked(a.UID, a.ClientCount)
		s.counted(a.ClientCount)
	case wire.BroadcastAck:
		s.openLocked(a.UID, -1)
		s.answered(a.Answer)
	default:
		return false
	}
	s.checkLocked()
	return true
}

func (s *survey) openLocked(uid string, n int) {
	s.open += n
	if uid != "" {
		s.byPeer[uid] += n
	}
}

func (s *survey) checkLocked() {
	if s.tally.complete() && s.open <= 0 {
		s.endLocked(nil)
	}
}

func (s *survey) owing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	uids := s.tally.missing()
	for uid, open := range s.byPeer {
		if open > 0 {
			uids = append(uids, uid)
		}
	}
	return uids
}

func (s *survey) lose(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.tally.lose(uid)
	s.open -= s.byPeer[uid]
	delete(s.byPeer, uid)
	s.checkLocked()
}

// askClients sends a broadcast with acks and waits until all is answered, timeout has passed (which is no error), or ctx
// ended.
func (n *namespace) askClients(ctx context.Context, q wire.Request, timeout time.Duration,
	counted func(clients int), answered func(packet.Payload)) error {
	limited := ctx
	if timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	t, err := n.prepare(limited)
	if err != nil || t.expected == 0 {
		return n.outcome(err, t)
	}
	pending := &survey{waiter: newWaiter(t), counted: counted, answered: answered, byPeer: make(map[string]int)}
	err = n.outcome(n.send(limited, n.talk.counted(), q, pending, &pending.waiter), t)
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx) // nil when it was our timeout: the caller knows what is missing
	}
	return err
}
