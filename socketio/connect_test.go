package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// serve runs the test in a bubble, with a server set up by setup.
func serve(t *testing.T, cfg socketio.Config, setup func(io *socketio.Server), test func(t *testing.T, h *peer.Host)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := peer.Serve(t, cfg, setup)
		defer h.Stop()
		test(t, h)
	})
}

func echo(io *socketio.Server) {
	io.On("echo", func(s *socketio.Socket, args socketio.Args, ack socketio.Ack) error {
		if ack != nil {
			return ack(args)
		}
		return s.Emit("echo", args)
	})
}

func TestConnect(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		auth := func(s *socketio.Socket) { s.Emit("auth", s.Handshake().Auth) }
		io.OnConnect(auth)
		io.Of("custom").OnConnect(auth)
	}, func(t *testing.T, h *peer.Host) {
		p, id := h.Join("/")
		p.Want(`2["auth",{}]`)
		other := p.Connect("/custom", `{"token":"x"}`)
		p.Want(`2/custom,["auth",{"token":"x"}]`)
		if id == other || len(id) != 20 {
			t.Errorf("ids %q and %q", id, other)
		}
		p.Send(`0/unknown,`)
		p.Want(`4/unknown,{"message":"Invalid namespace"}`)
		p.Send(`0/custom?x=1,`) // a query is a part of the name
		p.Want(`4/custom?x=1,{"message":"Invalid namespace"}`)
		q := h.Dial("")
		q.Send("01") // an id on CONNECT means nothing
		if got := q.Next(); got[:8] != `0{"sid":` {
			t.Errorf("got %q", got)
		}
	})
}

func TestMiddlewares(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.Use(func(_ context.Context, s *socketio.Socket) error {
			s.Join("early")
			return s.Emit("first", len(s.Rooms()))
		})
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			io.Emit("unheard") // nobody is connected yet
			var auth struct{ Token, Kind string }
			if err := s.Handshake().DecodeAuth(&auth); err != nil {
				return err
			}
			switch auth.Kind {
			case "plain":
				return socketio.NewError("not authorized")
			case "data":
				return &socketio.Error{Message: "not authorized", Data: map[string]string{"content": "retry"}}
			case "internal":
				return errors.New("password of the database is hunter2")
			case "panic":
				panic("oh")
			}
			return nil
		})
		io.OnConnect(func(s *socketio.Socket) { s.Emit("rooms", s.Rooms()[1:]) })
	}, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		for auth, want := range map[string]string{
			`{"kind":"plain"}`:    `4{"message":"not authorized"}`,
			`{"kind":"data"}`:     `4{"message":"not authorized","data":{"content":"retry"}}`,
			`{"kind":"internal"}`: `4{"message":"internal error"}`,
			`{"kind":"panic"}`:    `4{"message":"internal error"}`,
		} {
			p.Send("0" + auth)
			p.Want(`2["first",1]`, want)
		}
		p.Send("0{}")
		p.Want(`2["first",1]`)
		if got := p.Next(); got[:8] != `0{"sid":` {
			t.Errorf("got %q", got)
		}
		p.Want(`2["rooms",["early"]]`)
	})
}

func TestConnectTimeout(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.Of("/no").Use(func(context.Context, *socketio.Socket) error { return socketio.NewError("no") })
	}, func(t *testing.T, h *peer.Host) {
		start := time.Now()
		refused, joined := h.Dial(""), h.Dial("")
		refused.Send("0/no,")
		refused.Want(`4/no,{"message":"no"}`)
		joined.Connect("/", "")
		joined.Send("1") // leaving the last namespace leaves the connection open
		refused.Want("closed")
		if d := time.Since(start).Round(time.Second); d != 45*time.Second {
			t.Errorf("closed after %v, want 45s", d)
		}
		time.Sleep(10 * time.Minute)
		joined.WantNothing()
	})
}

func TestDynamicNamespaces(t *testing.T) {
	serve(t, socketio.Config{CleanupEmptyChildNamespaces: true}, func(io *socketio.Server) {
		made := []string{}
		io.OnNamespace(func(n *socketio.Namespace) { made = append(made, n.Name()) })
		dyn := io.OfRegexp(regexp.MustCompile(`^/dyn-\d+$`))
		dyn.Use(func(_ context.Context, s *socketio.Socket) error {
			if string(s.Handshake().Auth) == `{"deny":true}` {
				return socketio.NewError("denied")
			}
			return nil
		})
		dyn.OnConnect(func(s *socketio.Socket) { s.Emit("nsp", s.Namespace().Name()) })
		dyn.On("all", func() { dyn.Emit("everywhere") })
		io.OfFunc(func(_ context.Context, name string, auth json.RawMessage) bool {
			return name == "/by-auth" && string(auth) == `{"key":1}`
		})
		io.On("made", func() []string { return made })
		io.On("exists", func(name string) bool {
			for n := range io.Namespaces() {
				if n.Name() == name {
					return true
				}
			}
			return false
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		exists := func(name, want string) {
			t.Helper()
			synctest.Wait()
			p.Send(`21["exists","` + name + `"]`)
			p.Want(`31[` + want + `]`)
		}
		p.Send("0/dyn-x,")
		p.Want(`4/dyn-x,{"message":"Invalid namespace"}`)
		p.Connect("/dyn-1", "")
		p.Want(`2/dyn-1,["nsp","/dyn-1"]`)
		q, _ := h.Join("/dyn-2")
		q.Want(`2/dyn-2,["nsp","/dyn-2"]`)
		q.Send(`2/dyn-2,["all"]`)
		q.Want(`2/dyn-2,["everywhere"]`)
		p.Want(`2/dyn-1,["everywhere"]`)
		q.Send("0/by-auth,")
		q.Want(`4/by-auth,{"message":"Invalid namespace"}`)
		q.Connect("/by-auth", `{"key":1}`)
		exists("/dyn-1", "true")
		p.Send("1/dyn-1,")
		exists("/dyn-1", "false")
		p.Send(`0/dyn-3,{"deny":true}`)
		p.Want(`4/dyn-3,{"message":"denied"}`)
		exists("/dyn-3", "false")
		p.Send(`22["made"]`)
		p.Want(`32[["/dyn-1","/dyn-2","/by-auth","/dyn-3"]]`)
		if h.IO.Of("/dyn-7") == nil || h.IO.OfRegexp(regexp.MustCompile("^/z")).Emit("x") != nil {
			t.Error("a parent without children takes emits")
		}
		if _, err := h.IO.OfRegexp(regexp.MustCompile("^/y")).FetchSockets(t.Context()); !errors.Is(err, socketio.ErrParent) {
			t.Errorf("FetchSockets of a parent: %v", err)
		}
	})
}
