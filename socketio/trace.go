package socketio

import (
	"context"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Trace has functions that are told of what passes, for an app's own metrics and tracing. Each may be nil, and costs
// nothing then. They are called concurrently.
type Trace struct {
	// Received is called for each packet of a client, before anything comes of it, on the goroutine that reads: it must
	// not block. bytes does not count binary parts that follow.
	Received func(s *engineio.Session, h packet.Header, bytes int)
	// Sent is called for each packet that was handed to a client's session, binary parts included: once for each client
	// that a broadcast reaches. It must not block.
	Sent func(s *engineio.Session, h packet.Header, bytes int)
	// Handle is called before an event's middlewares and handlers run, on their goroutine. The context that it returns
	// is theirs in the place of ctx, whose end it must have. done, unless it is nil, is called after the last of them,
	// with the first error.
	Handle func(ctx context.Context, s *Socket, event string, args Args) (_ context.Context, done func(error))
}

func (t *Trace) received(s *engineio.Session, h packet.Header, bytes int) {
	if t != nil && t.Received != nil {
		t.Received(s, h, bytes)
	}
}

func (t *Trace) sent(s *engineio.Session, h packet.Header, ms []*engineio.Message) {
	if t == nil || t.Sent == nil {
		return
	}
	bytes := 0
	for _, m := range ms {
		bytes += m.Len()
	}
	t.Sent(s, h, bytes)
}

// handle is Trace.Handle, if there is one.
func (t *Trace) handle(s *Socket, event []byte, args Args) (ctx context.Context, done func(error)) {
	if t != nil && t.Handle != nil {
		s.contain("Trace", func() error {
			ctx, done = t.Handle(s.Context(), s, string(event), args)
			return nil
		})
	}
	return ctx, done
}
