package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
)

// edge is the app of everything that is easily got wrong: at /socket.io/ the options, middlewares,
// flags and reasons, at /csr/ connection state recovery.
type edge struct {
	io *socketio.Server

	mu      sync.Mutex
	refused []refusedRequest
	reasons map[string]string // by socket id
}

// refusedRequest is a connection error as Node's servers describe it.
type refusedRequest struct {
	Code    int            `json:"code"`
	Message string         `json:"message"`
	Context map[string]any `json:"context"`
}

// edgeApp serves the client bundles of files.
func edgeApp(files fs.FS) (app, error) {
	e := &edge{reasons: make(map[string]string)}
	var err error
	e.io, err = socketio.New(socketio.Config{
		UpgradeTimeout:              3 * time.Second,
		MaxHTTPBufferSize:           100_000,
		Cookie:                      &engineio.Cookie{Name: "edge", Path: "/x", SameSite: http.SameSiteStrictMode},
		CORS:                        &engineio.CORS{Origin: "http://allowed.example", Credentials: true},
		AllowRequest:                allow,
		InitialHeaders:              func(h http.Header, _ *http.Request) { h.Set("x-initial", "1") },
		Headers:                     func(h http.Header, _ *http.Request) { h.Set("x-every", "1") },
		OnConnectionError:           e.refuse,
		ConnectTimeout:              3 * time.Second,
		CleanupEmptyChildNamespaces: true,
		ClientBundle:                files,
	})
	if err != nil {
		return nil, err
	}
	e.answer(e.io.Namespace)
	e.answerBroadcasts(e.io.Namespace)
	e.answerObserved(e.io.Namespace)
	e.io.UseEvents(func(_ context.Context, _ *socketio.Socket, event string, _ socketio.Args) error {
		if event == "blocked" {
			return errors.New("blocked event")
		}
		return nil
	})
	e.io.OnError(func(s *socketio.Socket, _ string, err error) { s.Emit("errored", err.Error()) })

	private := e.io.Of("/mw")
	private.Use(authorize)
	custom := e.io.Of("/custom")
	custom.On("echo", func(s *socketio.Socket, args socketio.Args) { s.Emit("echo", args) })
	dynamic := e.io.OfRegexp(regexp.MustCompile(`^/dyn-\d+$`))
	dynamic.OnConnect(func(s *socketio.Socket) { s.Emit("nsp", s.Namespace().Name()) })

	csr, err := recoveryApp()
	if err != nil {
		return nil, err
	}
	for _, n := range []*socketio.Namespace{e.io.Namespace, private, custom, dynamic, csr.Namespace} {
		n.OnDisconnect(e.record)
	}
	return app{csr, e.io}, nil
}

// allow refuses those who ask for it.
func allow(r *http.Request) error {
	switch reject := r.Header.Get("x-reject"); reject {
	case "":
		return nil
	case "plain":
		return engineio.ErrForbidden
	default:
		return errors.New(reject)
	}
}

// authorize is the middleware of /mw.
func authorize(_ context.Context, s *socketio.Socket) error {
	var auth struct{ Token, Data any }
	if err := s.Handshake().DecodeAuth(&auth); err == nil && auth.Token == "ok" {
		return nil
	}
	if truthy(auth.Data) {
		return &socketio.Error{Message: "not authorized", Data: map[string]string{"content": "retry"}}
	}
	return socketio.NewError("not authorized")
}

// truthy is JavaScript's view of a decoded value.
func truthy(v any) bool {
	return v != nil && v != false && v != "" && v != 0.0
}

// answer adds the events that concern one socket.
func (e *edge) answer(io *socketio.Namespace) {
	io.On("echo", func(s *socketio.Socket, args socketio.Args, ack socketio.Ack) {
		if ack != nil {
			ack(args)
		} else {
			s.Emit("echo", args)
		}
	})
	io.On("ack-twice", func(s *socketio.Socket, ack socketio.Ack) {
		if ack != nil {
			ack(1)
			ack(2)
		}
		s.Emit("after")
	})
	io.On("ask", func(s *socketio.Socket, timeout time.Duration) {
		s.Go(func(ctx context.Context) {
			answer, err := s.Timeout(timeout).EmitWithAck(ctx, "question", 1)
			s.Emit("answer", message(err), answer.Value(0))
		})
	})
	io.On("bin", func(s *socketio.Socket) {
		type parts struct {
			A [][]byte  `json:"a"`
			B any       `json:"b"`
			D time.Time `json:"d"`
		}
		s.Emit("bin", []byte{1, 2}, parts{A: [][]byte{{3}}, D: time.UnixMilli(0)})
	})
	io.On("burst", func(s *socketio.Socket, n int) {
		for i := range n {
			s.Emit("n", i)
		}
	})
	io.On("volatile", func(s *socketio.Socket, n int) {
		for i := range n {
			s.Volatile().Emit("v", i)
		}
		s.Emit("end")
	})
	io.On("big", func(s *socketio.Socket, n int) { s.Emit("big", strings.Repeat("x", n)) })
	io.On("join", func(s *socketio.Socket, room string) []string {
		s.Join(room)
		return s.Rooms()
	})
	io.On("leave", func(s *socketio.Socket, room string) []string {
		s.Leave(room)
		return s.Rooms()
	})
	io.On("bye", (*socketio.Socket).Disconnect)
	io.On("eclose", func(s *socketio.Socket) { s.Session().Close() })
}

// message is an error as clients are told of it: its text, or null.
func message(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

// answerBroadcasts adds the events that concern others.
func (e *edge) answerBroadcasts(io *socketio.Namespace) {
	type audience struct {
		Self       bool
		To, Except rooms
	}
	io.On("bcast", func(s *socketio.Socket, to audience, event string, args socketio.Args) {
		all := s.Broadcast()
		if to.Self {
			all = io.To()
		}
		all.To(to.To...).Except(to.Except...).Emit(event, args)
	})
	io.On("bcast-ack", func(s *socketio.Socket, room string, timeout time.Duration, ack socketio.Ack) {
		s.Go(func(ctx context.Context) {
			answers, err := io.To(room).Timeout(timeout).EmitWithAck(ctx, "q")
			values := make([]socketio.Value, len(answers))
			for i, answer := range answers {
				values[i] = answer.Value(0)
			}
			if ack != nil {
				ack(message(err), values)
			}
		})
	})
	io.On("fetch", func(ctx context.Context, room string) ([]string, error) {
		sockets, err := io.To(room).FetchSockets(ctx)
		var ids []string
		for _, s := range sockets {
			ids = append(ids, s.ID)
		}
		return ids, err
	})
	io.On("kick", func(room string, closeTransport bool) { io.To(room).DisconnectSockets(closeTransport) })
}

// rooms are one room, or a list of them.
type rooms []string

// UnmarshalJSON reads either form.
func (r *rooms) UnmarshalJSON(text []byte) error { return unmarshalList(text, (*[]string)(r)) }

// answerObserved adds the events that tell what the app has seen.
func (e *edge) answerObserved(io *socketio.Namespace) {
	io.On("take-reason", func(id string) any {
		e.mu.Lock()
		defer e.mu.Unlock()
		if reason, ok := e.reasons[id]; ok {
			delete(e.reasons, id)
			return reason
		}
		return nil
	})
	io.On("writable", func(id string) bool {
		s, ok := io.Socket(id)
		return ok && s.Session().SendVolatile() // nothing is sent, but it says whether it could be
	})
	io.On("errors", func() []refusedRequest {
		e.mu.Lock()
		defer e.mu.Unlock()
		list := e.refused
		e.refused = nil
		return list
	})
	io.On("has-nsp", func(name string) bool {
		for n := range e.io.Namespaces() {
			if n.Name() == name {
				return true
			}
		}
		return false
	})
}

func (e *edge) record(s *socketio.Socket, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reasons[s.ID()] = reason
}

func (e *edge) refuse(err engineio.ConnectionError) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refused = append(e.refused, refusedRequest{err.Code, err.Message, err.Context})
}
