package socketio

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Operator selects sockets of a namespace, on all servers, and acts on them. It is an immutable
// value: each method returns another one. It may be kept, and used concurrently.
//
//	io.To("room").Except(id).Emit("said", msg)
type Operator struct {
	nsp    *Namespace
	target cluster.Target
	flags  cluster.Flags
	local  bool
}

// To selects the sockets in any of rooms of the same namespace, except the socket itself.
func (s *Socket) To(rooms ...string) Operator { return s.Broadcast().To(rooms...) }

// Except selects the sockets of the same namespace that are in none of rooms, except the socket
// itself.
func (s *Socket) Except(rooms ...string) Operator { return s.Broadcast().Except(rooms...) }

// Broadcast selects all sockets of the same namespace except the socket itself.
func (s *Socket) Broadcast() Operator { return s.nsp.Except(s.id) }

// To selects the sockets in any of rooms, and those that earlier calls of To selected.
func (o Operator) To(rooms ...string) Operator {
	o.target.Rooms = append(slices.Clip(o.target.Rooms), rooms...)
	return o
}

// Except leaves out the sockets in any of rooms.
func (o Operator) Except(rooms ...string) Operator {
	o.target.Except = append(slices.Clip(o.target.Except), rooms...)
	return o
}

// Local restricts the operation to sockets on this server.
func (o Operator) Local() Operator {
	o.local = true
	return o
}

// Volatile drops the event for clients that aren't ready to receive it.
func (o Operator) Volatile() Operator {
	o.flags.Volatile = true
	return o
}

// Compress says whether transports may compress the event. They may by default.
func (o Operator) Compress(on bool) Operator {
	o.flags.Compress = &on
	return o
}

// Timeout limits the wait of EmitWithAck and FetchSockets.
func (o Operator) Timeout(d time.Duration) Operator {
	o.flags.Timeout = d
	return o
}

// adapter returns the adapter to the other servers, or nil.
func (o Operator) adapter(n *Namespace) cluster.Adapter {
	if o.local {
		return nil
	}
	return n.adapter
}

// Sockets yields the selected sockets that are connected to this server.
func (o Operator) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for _, n := range o.nsp.each() {
			for _, s := range n.rooms.matching(nil, &o.target) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Emit sends an event to the selected sockets. It doesn't wait for anybody. Several Emits on one
// goroutine reach a socket in their order. The caller must not change []byte values among the
// arguments afterwards. Emit returns ErrReserved, or the error of an argument that can't be
// encoded, or the error of the cluster.
func (o Operator) Emit(event string, args ...any) error {
	return o.traced(o.nsp.server.life, event, args)
}

// EmitContext is Emit with a context, which Trace.Emit gets. If ctx has ended, it sends nothing and
// returns the error of ctx.
func (o Operator) EmitContext(ctx context.Context, event string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return o.traced(ctx, event, args)
}

func (o Operator) traced(ctx context.Context, event string, args []any) error {
	done := o.traceEmit(ctx, event)
	err := o.emit(event, args)
	done.with(err)
	return err
}

func (o Operator) emit(event string, args []any) error {
	b, err := o.broadcast(event, args)
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range o.nsp.each() {
		errs = append(errs, n.emit(b, o.local))
	}
	return errors.Join(errs...)
}

func (o Operator) broadcast(event string, args []any) (*cluster.Broadcast, error) {
	if packet.Reserved(event) {
		return nil, ErrReserved
	}
	p, err := packet.EncodeEvent(event, args...)
	if err != nil {
		return nil, err
	}
	return &cluster.Broadcast{Target: o.target, Flags: o.flags, Data: p}, nil
}

// EmitWithAck sends an event to the selected sockets and waits for their answers. Of each answer it
// returns the first value. It waits for the time that Timeout sets, else until the deadline of ctx,
// else for Config.AckTimeout. If some answers are missing by then, it returns the others and
// ErrTimeout. Answers that report a failure are among them; Args.Err tells.
func (o Operator) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	done := o.traceEmit(ctx, event)
	answers, err := o.ask(ctx, event, args)
	done.with(err)
	return answers, err
}

func (o Operator) ask(ctx context.Context, event string, args []any) ([]Args, error) {
	if o.nsp.pattern != nil {
		return nil, ErrParent
	}
	if o.flags.Timeout <= 0 {
		o.flags.Timeout = o.nsp.server.cfg.AckTimeout
		if deadline, ok := ctx.Deadline(); ok {
			o.flags.Timeout = time.Until(deadline)
		}
	}
	b, err := o.broadcast(event, args)
	if err != nil {
		return nil, err
	}
	c := &collector{done: make(chan struct{})}
	ctx, cancel := context.WithTimeoutCause(ctx, o.flags.Timeout, ErrTimeout)
	defer cancel()
	o.nsp.settle(ctx)
	q, clients := o.nsp.deliverWithAck(b, 0, c.add)
	if q != nil {
		defer q.cancel()
	}
	if adapter := o.adapter(o.nsp); adapter != nil {
		c.expect(clients)
		remote := 0
		q := cluster.Question{Kind: cluster.AskClients, Target: b.Target, Event: b.Data, Flags: b.Flags, Timeout: o.flags.Timeout}
		err = adapter.Ask(ctx, q, func(a cluster.Answer) {
			if !a.Ack {
				remote += a.Clients
			} else if args, err := a.Payload.Args(); err == nil {
				c.add(args)
			}
		})
		c.expect(remote)
	} else {
		c.expect(clients)
	}
	c.complete()
	select {
	case <-c.done:
	case <-ctx.Done():
		if err == nil {
			err = context.Cause(ctx)
		}
	}
	return c.result(), err
}

// collector gathers answers until the expected number has come.
type collector struct {
	mu       sync.Mutex
	answers  []Args
	expected int
	final    bool // nothing more will be expected
	done     chan struct{}
}

func (c *collector) add(args Args) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, args)
	if c.final && len(c.answers) == c.expected {
		close(c.done)
	}
}

func (c *collector) expect(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expected += n
}

func (c *collector) complete() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.final = true; len(c.answers) >= c.expected {
		close(c.done)
	}
}

func (c *collector) result() []Args {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.answers)
}

// SocketsJoin makes the selected sockets join rooms.
func (o Operator) SocketsJoin(rooms ...string) error {
	return o.order(cluster.Order{Kind: cluster.Join, Target: o.target, Rooms: rooms})
}

// SocketsLeave makes the selected sockets leave rooms.
func (o Operator) SocketsLeave(rooms ...string) error {
	return o.order(cluster.Order{Kind: cluster.Leave, Target: o.target, Rooms: rooms})
}

// DisconnectSockets disconnects the selected sockets, and with closeTransport also closes their
// connections.
func (o Operator) DisconnectSockets(closeTransport bool) error {
	return o.order(cluster.Order{Kind: cluster.Disconnect, Target: o.target, CloseTransport: closeTransport})
}

// order carries out an order here and on the other servers.
func (o Operator) order(order cluster.Order) error {
	var errs []error
	for _, n := range o.nsp.each() {
		local{n}.Apply(order)
		if adapter := o.adapter(n); adapter != nil {
			errs = append(errs, adapter.Order(order))
		}
	}
	return errors.Join(errs...)
}
