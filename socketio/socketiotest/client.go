package socketiotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// patience is how long an event that is wanted may take, on the test's clock.
const patience = 30 * time.Second

// answerPatience is how long an answer may take: apps wait for people, and in a bubble heartbeats
// would go on for ever.
const answerPatience = 24 * time.Hour

// Client is a connected client, and the events that it got and the test has not yet asked for.
// Events for which the test registers a handler, with On of the embedded socket, are among them,
// too.
type Client struct {
	*client.Socket

	t    testing.TB
	mu   sync.Mutex
	got  []received
	gone string        // why the client was disconnected
	news chan struct{} // holds one when got or gone changed
}

type received struct {
	event string
	args  socketio.Args
}

func (r received) String() string {
	return fmt.Sprintf("%s%s", r.event, r.args)
}

func newClient(t testing.TB, s *client.Socket) *Client {
	c := &Client{Socket: s, t: t, news: make(chan struct{}, 1)}
	s.OnAny(func(event string, args client.Args) {
		c.note(func() { c.got = append(c.got, received{event, args}) })
	})
	s.OnDisconnect(func(reason string, _ error) { c.note(func() { c.gone = reason }) })
	return c
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

// Next waits for the next event, of any name.
func (c *Client) Next() (event string, args socketio.Args) {
	c.t.Helper()
	r, ok := c.next(func() bool { return c.gone != "" })
	if !ok {
		c.t.Fatalf("%s: no event came, want one%s", c.Namespace(), c.ending())
	}
	return r.event, r.args
}

// Want waits for the next event and wants it to have that name and these arguments: those that
// encode alike.
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
	r, ok := c.next(func() bool { return c.gone != "" })
	if !ok {
		c.t.Fatalf("%s: no event came, want %s%s%s", c.Namespace(), event, want, c.ending())
	}
	if r.event != event || !alike(r.args, want) {
		c.t.Fatalf("%s: got %s, want %s", c.Namespace(), r, received{event, want})
	}
}

// WantNothing wants no event to have come that was not asked for. It is for bubbles, after
// synctest.Wait.
func (c *Client) WantNothing() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) > 0 {
		c.t.Fatalf("%s: got %v, want nothing", c.Namespace(), c.got)
	}
}

// WantDisconnect waits until the client is disconnected, for a reason in the words of clients: "io
// server disconnect", "transport close" and others.
func (c *Client) WantDisconnect(reason string) {
	c.t.Helper()
	c.await(func() bool { return c.gone != "" })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone != reason {
		c.t.Fatalf("%s: disconnected for %q, want %q", c.Namespace(), c.gone, reason)
	}
}

// Call emits an event and waits for its answer, for a day at most. A handler without results gives
// none: use Emit, and synctest.Wait. The answer of a handler that failed is one, too: Args.Err
// tells.
func (c *Client) Call(event string, args ...any) socketio.Args {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), answerPatience)
	defer cancel()
	answer, err := c.EmitWithAck(ctx, event, args...)
	if errors.Is(err, context.DeadlineExceeded) {
		c.t.Fatalf("%s: %s: no answer came; a handler answers with its results, or by its Ack", c.Namespace(), event)
	}
	if _, failed := errors.AsType[*socketio.AnswerError](err); err != nil && !failed {
		c.t.Fatalf("%s: %s: %v", c.Namespace(), event, err)
	}
	return answer
}

// next takes the next event, unless over is true before one came, or patience ends.
func (c *Client) next(over func() bool) (r received, ok bool) {
	c.await(func() bool { return len(c.got) > 0 || over() })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.got) == 0 {
		return r, false
	}
	r, c.got = c.got[0], slices.Clone(c.got[1:])
	return r, true
}

// await waits until done, which is called with mu held, or patience ends.
func (c *Client) await(done func() bool) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		c.mu.Lock()
		over := done()
		c.mu.Unlock()
		if over {
			return
		}
		select {
		case <-c.news:
		case <-late.C:
			return
		}
	}
}

func (c *Client) ending() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone == "" {
		return ""
	}
	return ": disconnected for " + c.gone
}

// alike compares arguments without the order of members and with binary parts.
func alike(a, b socketio.Args) bool {
	p, q := a.Payload(), b.Payload()
	x, y := jsontext.Value(bytes.Clone(p.JSON)), jsontext.Value(bytes.Clone(q.JSON))
	if x.Canonicalize() != nil || y.Canonicalize() != nil {
		return bytes.Equal(p.JSON, q.JSON)
	}
	return bytes.Equal(x, y) && slices.EqualFunc(p.Attachments, q.Attachments, bytes.Equal)
}
