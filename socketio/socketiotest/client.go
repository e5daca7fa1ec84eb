package socketiotest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Client is a connected client, and the events that it got and the test has not yet asked for.
// Events for which the test registers a handler, with On of the embedded socket, are among them,
// too. It reconnects like the official client. An offset, which recovery adds to the arguments of
// an event, isn't shown.
type Client struct {
	*client.Socket

	t       testing.TB
	server  *Server // that it connected to first
	group   *group
	network *peer.Network
	name    string // for messages

	mu     sync.Mutex
	log    log
	marks  int           // that came, of those that WantNothing sends
	silent bool          // nothing will come before the next Connect
	news   chan struct{} // holds one when something has changed
}

func newClient(s *Server, network *peer.Network, socket *client.Socket, auth any) *Client {
	c := &Client{
		Socket: socket, t: s.t, server: s, group: s.group, network: network,
		name: "client of " + socket.Namespace(), news: make(chan struct{}, 1),
	}
	if text, err := json.Marshal(auth); err == nil && auth != nil {
		c.name += " with " + brief(string(text))
	}
	socket.OnAny(func(event string, args client.Args) {
		c.note(func() {
			if event == mark {
				c.marks++
				return
			}
			c.addLocked(record{kind: came, name: event, args: withoutOffset(args)})
		})
	})
	socket.OnConnect(func() {
		r := record{kind: connected, name: socket.ID(), recovered: socket.Recovered()}
		c.note(func() { c.silent = false; c.addLocked(r) })
	})
	socket.OnDisconnect(func(reason string, _ error) {
		c.note(func() {
			c.silent = reason == client.ReasonServerDisconnect || reason == client.ReasonClientDisconnect
			c.addLocked(record{kind: disconnected, name: reason})
		})
	})
	socket.OnConnectError(func(err error) {
		refusal, _ := errors.AsType[*client.ConnectError](err)
		c.note(func() {
			c.silent = refusal != nil
			c.addLocked(record{kind: failed, name: err.Error(), refusal: refusal})
		})
	})
	return c
}

func (c *Client) addLocked(r record) {
	r.at = time.Since(c.group.began)
	c.log.add(r)
}

func (c *Client) note(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// connect connects for the first time.
func (c *Client) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.group.patience)
	defer cancel()
	if err := c.Socket.Connect(ctx); err != nil {
		return err
	}
	c.take(func(r record) bool { return r.kind == connected })
	return c.group.hear(ctx)
}

// Next waits for the oldest event with that name that the test has not asked for, and returns its
// arguments.
func (c *Client) Next(event string) socketio.Args {
	c.t.Helper()
	r, ok := c.take(func(r record) bool { return r.kind == came && r.name == event })
	if !ok {
		c.missing("no event %q came", event)
	}
	return r.args
}

// Want waits for an event with that name and these arguments: those that encode alike. It takes the
// oldest one that the test has not asked for. Other events may come before it and wait for a Want
// of their own; only events with the same name and arguments have to be wanted one by one.
func (c *Client) Want(event string, args ...any) {
	c.t.Helper()
	p, err := packet.EncodeArgs(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	want, err := p.Args()
	if err != nil {
		c.t.Fatal(err)
	}
	_, ok := c.take(func(r record) bool { return r.kind == came && r.name == event && alike(r.args, want) })
	if !ok {
		c.missing("no event %s%s came", event, brief(want.String()))
	}
}

// WantNothing wants no event to have come that the test has not asked for. In a bubble, everything
// that can happen without the passing of time has happened then. Elsewhere, everything has arrived
// that the servers had emitted before; an event that the test has emitted may be on its way.
func (c *Client) WantNothing() {
	c.t.Helper()
	c.arrive()
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.log.first(func(r record) bool { return r.kind == came }); ok {
		c.t.Fatalf("%s: got %s, want nothing%s", c.name, r, c.historyLocked())
	}
}

// arrive waits for what was sent.
func (c *Client) arrive() {
	c.t.Helper()
	if c.group.fake {
		idle()
		return
	}
	id := c.ID()
	if id == "" {
		return
	}
	c.mu.Lock()
	due := c.marks
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(c.t.Context(), c.group.patience)
	defer cancel()
	if err := c.group.hear(ctx); err != nil {
		c.t.Fatalf("%s: %v%s", c.name, err, c.history())
	}
	for _, s := range c.group.up() {
		if err := s.io.Of(c.Namespace()).To(id).Emit(mark); err != nil {
			c.t.Fatalf("%s: %v", c.name, err)
		}
		due++
	}
	if !c.await(func() bool { return c.marks >= due || c.silent }) {
		c.missing("no answer came from a server to the question whether everything has arrived")
	}
}

// WantConnect waits until the client has connected again. Recovered then tells whether the server
// has restored the socket.
func (c *Client) WantConnect() {
	c.t.Helper()
	c.reconnected()
}

// WantRecovered waits until the client has connected again, and wants the server to have restored
// its socket: with its id, rooms and data, and the events that it missed.
func (c *Client) WantRecovered() {
	c.t.Helper()
	if r := c.reconnected(); !r.recovered {
		c.t.Fatalf("%s: connected as a new socket, want it recovered%s", c.name, c.history())
	}
}

// WantRefused waits until a server refuses the client, which comes back after a break, and returns
// what the client was told. It doesn't try again then.
func (c *Client) WantRefused() *client.ConnectError {
	c.t.Helper()
	r, ok := c.take(func(r record) bool { return r.refusal != nil })
	if !ok {
		c.missing("has not been refused")
	}
	return r.refusal
}

func (c *Client) reconnected() record {
	c.t.Helper()
	r, ok := c.take(func(r record) bool { return r.kind == connected })
	if !ok {
		c.missing("has not connected again")
	}
	return r
}

// WantDisconnect waits until the client is disconnected, for a reason in the words of clients: "io
// server disconnect", "transport close" and others.
func (c *Client) WantDisconnect(reason string) {
	c.t.Helper()
	r, ok := c.take(func(r record) bool { return r.kind == disconnected })
	switch {
	case !ok:
		c.missing("is not disconnected, want %q", reason)
	case r.name != reason:
		c.t.Fatalf("%s: disconnected for %q, want %q%s", c.name, r.name, reason, c.history())
	}
}

// Call emits an event and returns the answer. An answer that reports a failure, as {"error": …}
// does, ends the test: see Fails. A handler without results doesn't answer, so use Emit.
func (c *Client) Call(event string, args ...any) socketio.Args {
	c.t.Helper()
	answer, err := c.ask(event, args)
	if err != nil {
		c.t.Fatalf("%s: %s: %v%s%s", c.name, event, err, c.group.handlers.failures(), c.history())
	}
	return answer
}

// Call is Client.Call for an answer of type T.
func Call[T any](c *Client, event string, args ...any) T {
	c.t.Helper()
	var v T
	answer := c.Call(event, args...)
	if err := answer.Decode(0, &v); err != nil {
		c.t.Fatalf("%s: %s answered %s: %v", c.name, event, brief(answer.String()), err)
	}
	return v
}

// Fails emits an event and wants an answer that reports a failure, which it returns.
func (c *Client) Fails(event string, args ...any) *client.AnswerError {
	c.t.Helper()
	answer, err := c.ask(event, args)
	failure, ok := errors.AsType[*client.AnswerError](err)
	switch {
	case ok:
	case err != nil:
		c.t.Fatalf("%s: %s: %v, want an answer with an error%s", c.name, event, err, c.history())
	default:
		c.t.Fatalf("%s: %s answered %s, want an error", c.name, event, brief(answer.String()))
	}
	return failure
}

// ask emits an event and waits for the answer.
func (c *Client) ask(event string, args []any) (socketio.Args, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), c.group.patience)
	defer cancel()
	answer, err := c.EmitWithAck(ctx, event, args...)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer came within %v; a handler answers with its results, or by its Ack%s", c.group.patience, c.group.handlers.running())
	}
	if err == nil {
		err = c.group.hear(ctx)
	}
	return answer, err
}

// Cut breaks the connection, on both sides. What is on its way is lost. The client reconnects.
func (c *Client) Cut() { c.network.Cut() }

// SetOffline drops the client out of the network, without a word to either side, or brings it back.
// Meanwhile, bytes and new connections wait. The server and the client notice when heartbeats are
// missing.
func (c *Client) SetOffline(on bool) { c.network.SetOffline(on) }

// SetDelay has everything from and to the client arrive d later from now on.
func (c *Client) SetDelay(d time.Duration) { c.network.SetDelay(d) }

// take waits for a record, and takes it from those that the test has not asked for. It returns
// false if none came in time, or none can come.
func (c *Client) take(want func(record) bool) (r record, ok bool) {
	c.await(func() bool {
		_, ok := c.log.first(want)
		return ok || c.silent
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.take(want)
}

// await waits until done, which is called with mu held. It returns false if that takes too long.
func (c *Client) await(done func() bool) bool {
	late := time.NewTimer(c.group.patience)
	defer late.Stop()
	for {
		c.mu.Lock()
		over := done()
		c.mu.Unlock()
		if over {
			return true
		}
		select {
		case <-c.news:
		case <-late.C:
			return false
		}
	}
}

// missing ends the test because something didn't come.
func (c *Client) missing(format string, args ...any) {
	c.t.Helper()
	c.mu.Lock()
	silent := c.silent
	c.mu.Unlock()
	how := fmt.Sprintf(" within %v", c.group.patience)
	if silent {
		how = ", and the client is disconnected"
	}
	c.t.Fatalf("%s: %s%s%s%s%s", c.name, fmt.Sprintf(format, args...), how, c.history(), c.group.handlers.running(), c.group.handlers.failures())
}

func (c *Client) history() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.historyLocked()
}

func (c *Client) historyLocked() string { return c.log.String() }
