package link

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// request is a request that waits for answers.
type request interface {
	// answer takes one answer. It refuses an odd one.
	answer(a wire.Response) (understood bool)
	// owing returns the peers from which more has to come.
	owing() []string
	// drop says that uid won't answer.
	drop(uid string)
	// fail ends the request.
	fail(err error)
}

// requests are the open requests of a namespace, by id.
type requests struct {
	mu   sync.RWMutex
	byID map[string]request
}

func (r *requests) add(id string, open request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[string]request)
	}
	r.byID[id] = open
}

func (r *requests) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, id)
}

// get finds a request without allocating.
func (r *requests) get(id []byte) request {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[string(id)]
}

func (r *requests) all() []request {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]request, 0, len(r.byID))
	for _, open := range r.byID {
		all = append(all, open)
	}
	return all
}

func (r *requests) failAll(err error) {
	for _, open := range r.all() {
		open.fail(err)
	}
}

func (r *requests) drop(uid string) {
	for _, open := range r.all() {
		open.drop(uid)
	}
}

// waiter is what all requests have in common: those who have to answer, and an end.
type waiter struct {
	mu    sync.Mutex    // guards the rest, and everything of the request that embeds it
	from  *responders   // doesn't change once the request is over
	ended chan struct{} // closed by the first end
	err   error
	over  bool
}

func newWaiter(from *responders) waiter { return waiter{from: from, ended: make(chan struct{})} }

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

// wait returns when the request has ended. When ctx ends it ends the request. The request accepts
// nothing afterwards. Meanwhile wait calls check, first after firstCheck and then less and less
// often.
func (w *waiter) wait(ctx context.Context, check func()) error {
	pause := firstCheck
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
			check()
			pause = min(2*pause, beatEvery)
			t.Reset(pause)
		}
	}
}

// firstCheck is when a request begins to check whether those it waits for are still there. Answers
// take a few milliseconds.
const firstCheck = 250 * time.Millisecond

// question is a request with one answer from each server.
type question struct {
	waiter
	accept func(wire.Response) bool
}

func (q *question) answer(a wire.Response) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over || q.from.has(a.UID) {
		return true
	}
	if !q.accept(a) {
		return false
	}
	q.from.add(a.UID)
	if q.from.complete() {
		q.endLocked(nil)
	}
	return true
}

func (q *question) owing() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.from.missing()
}

func (q *question) drop(uid string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return
	}
	if q.from.drop(uid); q.from.complete() {
		q.endLocked(nil)
	}
}

// ask sends a request and waits for one answer from each server. It calls accept under the
// request's lock, and never after it has returned.
func (n *Namespace) ask(ctx context.Context, q wire.Request, accept func(wire.Response) bool) error {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	from, err := n.prepare(ctx)
	if err != nil || from.expected == 0 {
		return n.count(err, from)
	}
	open := &question{waiter: newWaiter(from), accept: accept}
	err = n.send(ctx, n.protocol.RequestChannel(), q, open, &open.waiter)
	return n.count(n.explain(err, from, q.Type), from)
}

// explain says which servers a request was waiting for when its time was over.
func (n *Namespace) explain(err error, from *responders, t wire.RequestType) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := n.protocol.TimeoutText(t, from.got, from.expected)
	e := &cluster.MissingError{Text: text, Answered: from.got, Expected: from.expected}
	for _, uid := range from.missing() {
		e.Missing = append(e.Missing, cluster.Peer{ID: uid, Name: n.link.peers.name(uid)})
	}
	return e
}

// withTimeout bounds a request that its caller did not bound.
func (n *Namespace) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, n.link.Config.RequestsTimeout)
}

// prepare finds out who has to answer. It fails at once in an outage. If the process or the
// namespace has just started, it waits until it would hear the answers.
func (n *Namespace) prepare(ctx context.Context) (*responders, error) {
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	return n.responders(ctx)
}

// ready returns once this process would hear answers, or with the reason why it wouldn't. The
// subscription goes down a moment before the link is told. A caller that starts to wait in that
// moment must be told too, because the outage may be long.
func (n *Namespace) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id := newRequestID()
	n.requests.add(id, placeholder(cancel))
	defer n.requests.remove(id)
	switch {
	case n.closed.Load():
		return ErrClosed
	case n.link.Lost():
		return ErrAway
	}
	err := n.link.awaitHearing(ctx)
	switch cause := context.Cause(ctx); {
	case err == nil:
		return nil
	case errors.Is(cause, ErrAway), errors.Is(cause, ErrClosed):
		return cause
	}
	return errors.Join(ErrAway, err)
}

// placeholder stands for a request that has not been sent yet.
type placeholder context.CancelCauseFunc

func (placeholder) answer(wire.Response) bool { return false }
func (placeholder) owing() []string           { return nil }
func (placeholder) drop(string)               {}
func (p placeholder) fail(err error)          { p(err) }

// send publishes a request on a channel and waits for its end.
func (n *Namespace) send(ctx context.Context, channel string, q wire.Request, open request, w *waiter) error {
	if err := n.Fits(q.Data); err != nil {
		return err
	}
	id := newRequestID()
	q.UID, q.ID, q.Sidereal = n.UID, strconv.AppendQuote(nil, id), true
	m, err := n.protocol.EncodeRequest(q)
	if err != nil {
		return err
	}
	m.Channel = channel
	n.requests.add(id, open)
	defer n.requests.remove(id)
	if err := n.Publish(m, false); err != nil {
		return err
	}
	if !n.link.Hears() {
		return ErrAway // lost since prepare; onDown may not have seen this request
	}
	return w.wait(ctx, func() { n.dropDead(ctx, open) })
}

// count counts how a request ended.
func (n *Namespace) count(err error, from *responders) error {
	label := "failed"
	switch {
	case err == nil && from.expected == 0:
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
	n.link.Metrics.requests.WithLabelValues(label).Inc()
	return err
}

// acknowledgements is a broadcast with acks. Each server first sends the number of clients it asks,
// then their answers.
type acknowledgements struct {
	waiter
	take   func(cluster.Answer)
	open   int            // clients counted, less answers
	byPeer map[string]int // the same, of those that sign their answers
}

func (s *acknowledgements) answer(a wire.Response) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return true
	}
	switch a.Type {
	case wire.BroadcastClientCount:
		if !s.from.add(a.UID) {
			return true
		}
		s.openLocked(a.UID, a.ClientCount)
		s.take(cluster.Answer{Clients: a.ClientCount})
	case wire.BroadcastAck:
		s.openLocked(a.UID, -1)
		s.take(cluster.Answer{Ack: true, Payload: a.Answer})
	default:
		return false
	}
	s.checkLocked()
	return true
}

func (s *acknowledgements) openLocked(uid string, n int) {
	s.open += n
	if uid != "" {
		s.byPeer[uid] += n
	}
}

func (s *acknowledgements) checkLocked() {
	if s.from.complete() && s.open <= 0 {
		s.endLocked(nil)
	}
}

func (s *acknowledgements) owing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	uids := s.from.missing()
	for uid, open := range s.byPeer {
		if open > 0 {
			uids = append(uids, uid)
		}
	}
	return uids
}

func (s *acknowledgements) drop(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.from.drop(uid)
	s.open -= s.byPeer[uid]
	delete(s.byPeer, uid)
	s.checkLocked()
}

// askClients sends a broadcast with acks and waits until all are answered, the question's timeout
// has passed (which is no error), or ctx has ended.
func (n *Namespace) askClients(ctx context.Context, q cluster.Question, answer func(cluster.Answer)) error {
	limited := ctx
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	from, err := n.prepare(limited)
	if err != nil || from.expected == 0 {
		return n.count(err, from)
	}
	flags := q.Flags
	flags.Timeout = q.Timeout
	b := wire.Request{Type: wire.BroadcastWithAck, Options: Options(q.Target, flags), Data: q.Event, Namespace: n.Name}
	open := &acknowledgements{waiter: newWaiter(from), take: answer, byPeer: make(map[string]int)}
	err = n.count(n.send(limited, n.protocol.RequestChannel(), b, open, &open.waiter), from)
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx) // nil when it was our timeout: the caller knows what is missing
	}
	return err
}
