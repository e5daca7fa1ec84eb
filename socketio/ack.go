package socketio

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// answer is what a client, or another server, waits for.
type answer struct {
	given atomic.Bool
	to    func(packet.Payload) // a server; nil: the client
	// the client
	client *client
	nsp    *Namespace
	id     int64
}

// send answers. A client gets the answer while its connection is open, even if the socket has left
// the namespace.
func (a *answer) send(args ...any) error {
	if a.given.Swap(true) {
		return ErrAnswered
	}
	if a.to != nil {
		p, err := packet.EncodeArgs(args...)
		if err == nil {
			a.to(p)
		}
		return err
	}
	h := packet.Header{Type: packet.Ack, Namespace: a.nsp.name, ID: a.id}
	ms, err := a.client.server.encode(h, "", args)
	if err != nil {
		return err
	}
	if a.nsp.recovery == nil {
		return a.client.send(h, ms)
	}
	a.nsp.after(func() { _ = a.client.send(h, ms) }) // behind what the handler emitted
	return nil
}

// acks are the unanswered questions of one namespace to its clients. Their ids count up from 0,
// with those of broadcasts.
type acks struct {
	wheel   *wheel.Wheel
	mu      sync.Mutex
	next    int64
	waiting map[int64]*question
	most    int // that may wait for one socket
}

// question waits for the answer of one socket, or for those of the sockets that a broadcast
// reached.
type question struct {
	acks  *acks
	id    int64
	timer wheel.Timer

	mu     sync.Mutex
	one    *Socket              // who is asked, or
	asked  map[*Socket]struct{} // all who are
	answer func(Args)           // called with mu held; nil once it is over
	over   func()               // called when the time is over
}

// ask registers a question to one socket, or to the sockets of asked if one is nil. It calls answer
// for each answer within timeout, if that is above 0, never concurrently, and then over. It returns
// nil if too many questions wait for one.
func (a *acks) ask(one *Socket, asked []*Socket, timeout time.Duration, answer func(Args), over func()) *question {
	q := &question{acks: a, one: one, answer: answer, over: over}
	if one == nil {
		q.asked = make(map[*Socket]struct{}, len(asked))
		for _, s := range asked {
			q.asked[s] = struct{}{}
		}
	}
	if timeout > 0 {
		q.timer.Owner = q
	}
	a.mu.Lock()
	if one != nil {
		if int(one.asked) == a.most {
			a.mu.Unlock()
			return nil
		}
		one.asked++
	}
	q.id = a.next
	a.next++
	if a.waiting == nil {
		a.waiting = make(map[int64]*question)
	}
	a.waiting[q.id] = q
	a.mu.Unlock()
	if timeout > 0 {
		a.wheel.Schedule(&q.timer, timeout)
	}
	return q
}

// answered passes an answer of s on. It ignores late, repeated and unknown ones.
func (a *acks) answered(id int64, s *Socket, args Args) {
	a.mu.Lock()
	q := a.waiting[id]
	a.mu.Unlock()
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.asked[s]; q.answer == nil || !ok && s != q.one {
		return
	}
	answer := q.answer
	if delete(q.asked, s); len(q.asked) == 0 {
		q.answer = nil
		q.forget()
	}
	answer(args)
}

// forget ends the question, so that it takes no more answers.
func (q *question) forget() {
	q.acks.mu.Lock()
	delete(q.acks.waiting, q.id)
	if q.one != nil {
		q.one.asked--
	}
	q.acks.mu.Unlock()
	if q.timer.Owner != nil {
		q.acks.wheel.Stop(&q.timer)
	}
}

// cancel ends the question if nobody waits any more.
func (q *question) cancel() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.answer != nil {
		q.answer = nil
		q.forget()
	}
}

// Expire ends the question after its timeout.
func (q *question) Expire(*wheel.Timer) {
	q.mu.Lock()
	over := q.over
	if q.answer == nil {
		over = nil
	}
	q.mu.Unlock()
	q.cancel()
	if over != nil {
		over()
	}
}
