package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

type spanKey struct{}

// TestEmitContext: a form with a context sends nothing once that has ended, and Trace.Emit gets the
// context.
func TestEmitContext(t *testing.T) {
	var spans, to []string
	trace := &socketio.Trace{Emit: func(ctx context.Context, n *socketio.Namespace, rooms []string, event string) func(error) {
		began := fmt.Sprint(n.Name(), " ", event, " in ", ctx.Value(spanKey{}))
		to = rooms
		return func(err error) { spans = append(spans, fmt.Sprint(began, ": ", err)) }
	}}
	serve(t, socketio.Config{Trace: trace}, func(*socketio.Server) {}, func(t *testing.T, h *peer.Host) {
		p, id := h.Join("/")
		s, _ := h.IO.Socket(id)
		remotes, err := h.IO.FetchSockets(t.Context())
		if err != nil || len(remotes) != 1 {
			t.Fatalf("%d sockets, %v", len(remotes), err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		span := context.WithValue(t.Context(), spanKey{}, "span")
		for name, emit := range map[string]func(ctx context.Context) error{
			"server":   func(ctx context.Context) error { return h.IO.EmitContext(ctx, "e") },
			"operator": func(ctx context.Context) error { return h.IO.To(id).EmitContext(ctx, "e") },
			"socket":   func(ctx context.Context) error { return s.EmitContext(ctx, "e") },
			"emitter":  func(ctx context.Context) error { return s.Compress(false).EmitContext(ctx, "e") },
			"remote":   func(ctx context.Context) error { return remotes[0].EmitContext(ctx, "e") },
		} {
			spans = nil
			if err := emit(ended); !errors.Is(err, context.Canceled) || spans != nil {
				t.Errorf("%s: %v, spans %q, want it canceled", name, err, spans)
			}
			if err := emit(span); err != nil || !slices.Equal(spans, []string{"/ e in span: <nil>"}) {
				t.Errorf("%s: %v, spans %q", name, err, spans)
			}
			p.Want(`2["e"]`) // one, not two
			if all := name == "server"; all != (len(to) == 0) || !all && !slices.Equal(to, []string{id}) {
				t.Errorf("%s: to rooms %q", name, to)
			}
		}
		for name, emit := range map[string]func(ctx context.Context) error{
			"servers":    func(ctx context.Context) error { return h.IO.ServerSideEmitContext(ctx, "e") },
			"one server": func(ctx context.Context) error { return h.IO.ServerSideEmitToContext(ctx, "x", "e") },
		} {
			if err := emit(ended); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want it canceled", name, err)
			}
		}
		if err := h.IO.ServerSideEmitToContext(span, "x", "e"); !errors.Is(err, socketio.ErrNoPeer) {
			t.Errorf("to one server: %v", err)
		}

		spans = nil
		h.IO.Emit("plain")
		s.Emit("disconnect")
		if want := []string{"/ plain in <nil>: <nil>", "/ disconnect in <nil>: " + socketio.ErrReserved.Error()}; !slices.Equal(spans, want) {
			t.Errorf("spans %q, want %q", spans, want)
		}
		p.Want(`2["plain"]`)
	})
}

// TestTraceOfAQuestion: the span of EmitWithAck ends after the answer.
func TestTraceOfAQuestion(t *testing.T) {
	spans := make(chan string, 2)
	trace := &socketio.Trace{Emit: func(ctx context.Context, _ *socketio.Namespace, _ []string, event string) func(error) {
		return func(err error) { spans <- fmt.Sprint(event, " in ", ctx.Value(spanKey{}), ": ", err) }
	}}
	serve(t, socketio.Config{Trace: trace}, func(*socketio.Server) {}, func(t *testing.T, h *peer.Host) {
		p, id := h.Join("/")
		s, _ := h.IO.Socket(id)
		span := context.WithValue(t.Context(), spanKey{}, "span")
		for i, ask := range []func() error{
			func() error { _, err := s.EmitWithAck(span, "q"); return err },
			func() error { _, err := h.IO.EmitWithAck(span, "q"); return err },
		} {
			answered := make(chan error, 1)
			go func() { answered <- ask() }()
			p.Want(fmt.Sprintf(`2%d["q"]`, i))
			if len(spans) > 0 {
				t.Errorf("the span ended before the answer: %s", <-spans)
			}
			p.Send(fmt.Sprintf(`3%d[1]`, i))
			if err := <-answered; err != nil {
				t.Error(err)
			}
			if got := <-spans; got != "q in span: <nil>" {
				t.Errorf("span %q", got)
			}
		}
	})
}
