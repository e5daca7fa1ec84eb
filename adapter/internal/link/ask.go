package link

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// asker asks the other servers of a namespace, and waits for their answers.
type asker struct {
	ns   *Namespace
	open requests
}

// servers raises an event that servers answer. A server that has no handler for the event
// doesn't answer, neither Node's nor ours, and costs the whole timeout.
func (a *asker) servers(ctx context.Context, q cluster.Question, answer func(cluster.Answer)) error {
	accept := func(r wire.Response) bool {
		if r.Type != wire.ServerSideEmit {
			return false
		}
		answer(cluster.Answer{Payload: r.Answer})
		return true
	}
	event := wire.Request{Type: wire.ServerSideEmit, Data: q.Event}
	if q.Peer != "" {
		return a.peer(ctx, q.Peer, event, accept)
	}
	return a.ask(ctx, event, accept)
}

// sockets leaves out sockets that another server has described already.
func (a *asker) sockets(ctx context.Context, t cluster.Target, answer func(cluster.Answer)) error {
	seen := make(map[string]bool)
	return a.ask(ctx, wire.Request{Type: wire.RemoteFetch, Options: Options(t, cluster.Flags{})}, func(r wire.Response) bool {
		if r.Sockets == nil {
			return false
		}
		found := make([]cluster.SocketInfo, 0, len(r.Sockets))
		for _, s := range r.Sockets {
			if !seen[s.ID] {
				seen[s.ID] = true
				found = append(found, socketInfo(s))
			}
		}
		answer(cluster.Answer{Sockets: found})
		return true
	})
}

// rooms asks for the sockets if the form has no question for all rooms.
func (a *asker) rooms(ctx context.Context, answer func(cluster.Answer)) error {
	if !a.ns.protocol.AsksRooms() {
		return a.sockets(ctx, cluster.Target{}, func(r cluster.Answer) {
			answer(cluster.Answer{Rooms: roomsOf(r.Sockets)})
		})
	}
	return a.ask(ctx, wire.Request{Type: wire.AllRooms}, func(r wire.Response) bool {
		if r.Rooms == nil {
			return false
		}
		answer(cluster.Answer{Rooms: r.Rooms})
		return true
	})
}

func roomsOf(sockets []cluster.SocketInfo) (rooms []string) {
	for _, s := range sockets {
		rooms = append(rooms, s.Rooms...)
	}
	slices.Sort(rooms)
	return slices.Compact(rooms)
}

// ask sends a request and waits for one answer from each server. It calls accept under the
// request's lock, and never after it has returned.
func (a *asker) ask(ctx context.Context, q wire.Request, accept func(wire.Response) bool) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	from, err := a.prepare(ctx)
	if err != nil || from.expected == 0 {
		return a.count(err, from)
	}
	open := &question{waiter: newWaiter(from), accept: accept}
	err = a.send(ctx, a.ns.protocol.RequestChannel(), q, open, &open.waiter)
	return a.count(a.explain(err, from, q.Type), from)
}

// peer sends a request to one server and waits for its answer.
func (a *asker) peer(ctx context.Context, peer string, q wire.Request, accept func(wire.Response) bool) error {
	ctx, cancel := a.withTimeout(ctx)
	defer cancel()
	from := newResponders()
	from.waiting[peer], from.expected = struct{}{}, 1
	if err := a.ready(ctx); err != nil {
		return a.count(err, from)
	}
	if !a.ns.link.peers.hasIn(a.ns.Name, peer) {
		return a.count(cluster.ErrNoPeer, from)
	}
	open := &question{waiter: newWaiter(from), accept: accept}
	err := a.send(ctx, a.ns.protocol.AnswerChannel(peer), q, open, &open.waiter)
	if err == nil && from.got == 0 {
		err = cluster.ErrNoPeer // it left without an answer
	}
	return a.count(a.explain(err, from, q.Type), from)
}

// clients sends a broadcast with acks and waits until all are answered, the question's timeout
// has passed (which is no error), or ctx has ended.
func (a *asker) clients(ctx context.Context, q cluster.Question, answer func(cluster.Answer)) error {
	limited := ctx
	if q.Timeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, q.Timeout)
		defer cancel()
	}
	from, err := a.prepare(limited)
	if err != nil || from.expected == 0 {
		return a.count(err, from)
	}
	flags := q.Flags
	flags.Timeout = q.Timeout
	b := wire.Request{Type: wire.BroadcastWithAck, Options: Options(q.Target, flags), Data: q.Event, Namespace: a.ns.Name}
	open := &acknowledgements{waiter: newWaiter(from), take: answer, byPeer: make(map[string]int)}
	err = a.count(a.send(limited, a.ns.protocol.RequestChannel(), b, open, &open.waiter), from)
	if errors.Is(err, context.DeadlineExceeded) {
		return context.Cause(ctx) // nil when it was our timeout: the caller knows what is missing
	}
	return err
}

// explain says which servers a request was waiting for when its time was over.
func (a *asker) explain(err error, from *responders, t wire.RequestType) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := a.ns.protocol.TimeoutText(t, from.got, from.expected)
	e := &cluster.MissingError{Text: text, Answered: from.got, Expected: from.expected}
	for _, uid := range from.missing() {
		e.Missing = append(e.Missing, cluster.Peer{ID: uid, Name: a.ns.link.peers.name(uid)})
	}
	return e
}

// withTimeout bounds a request that its caller did not bound.
func (a *asker) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, a.ns.link.Config.RequestsTimeout)
}

// prepare finds out who has to answer. It fails at once in an outage. If the process or the
// namespace has just started, it waits until it would hear the answers.
func (a *asker) prepare(ctx context.Context) (*responders, error) {
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	return a.responders(ctx)
}

// ready returns once this process would hear answers, or with the reason why it wouldn't. The
// subscription goes down a moment before the link is told. A caller that starts to wait in that
// moment must be told too, because the outage may be long.
func (a *asker) ready(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id := newRequestID()
	a.open.add(id, placeholder(cancel))
	defer a.open.remove(id)
	switch {
	case a.ns.closed.Load():
		return ErrClosed
	case a.ns.link.Lost():
		return ErrAway
	}
	err := a.ns.link.awaitHearing(ctx)
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
func (a *asker) send(ctx context.Context, channel string, q wire.Request, open request, w *waiter) error {
	if err := a.ns.Fits(q.Data); err != nil {
		return err
	}
	id := newRequestID()
	q.UID, q.ID, q.Sidereal = a.ns.UID, strconv.AppendQuote(nil, id), true
	m, err := a.ns.protocol.EncodeRequest(q)
	if err != nil {
		return err
	}
	m.Channel = channel
	a.open.add(id, open)
	defer a.open.remove(id)
	if err := a.ns.Publish(m, false); err != nil {
		return err
	}
	if !a.ns.link.Hears() {
		return ErrAway // lost since prepare; onDown may not have seen this request
	}
	return w.wait(ctx, func() { a.dropDead(ctx, open) })
}

// count counts how a request ended.
func (a *asker) count(err error, from *responders) error {
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
	a.ns.link.Metrics.requests.WithLabelValues(label).Inc()
	return err
}
