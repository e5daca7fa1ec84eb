package link

import (
	"context"
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
