package node

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// goServer starts a server of ours on a Redis, which does what testdata/app.js does, and returns
// its URL.
func goServer(t *testing.T, redis string, f adapter.Form) string {
	t.Helper()
	cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: redis}, Form: f})
	if err != nil {
		t.Fatal(err)
	}
	var cfg socketio.Config
	cfg.Adapter = cluster
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*socketio.Namespace{io.Of("/"), io.Of("/chat")} {
		goApp(n)
	}
	testkit.Run(t, io.Run)
	if err := cluster.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := listenLocal(t)
	server := &http.Server{Handler: io}
	t.Cleanup(func() { server.Close() })
	testkit.Run(t, func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { server.Close() })
		if err := server.Serve(l); err != http.ErrServerClosed {
			return err
		}
		return nil
	})
	return "http://" + l.Addr().String()
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// room reads a room's name as the checks send it: a string, a number, or null.
func room(raw json.RawMessage) (name string, all bool) {
	var v any
	json.Unmarshal(raw, &v)
	switch v := v.(type) {
	case string:
		return v, false
	case float64:
		return packet.NumberRoom(int64(v)), false
	}
	return "", true
}

type answer map[string]any

func ok(v any, err error) answer {
	if err != nil {
		return answer{"error": err.Error()}
	}
	return answer{"ok": v}
}

func goApp(n *socketio.Namespace) {
	to := func(raw json.RawMessage) socketio.Operator {
		if name, all := room(raw); !all {
			return n.To(name)
		}
		return n.Except()
	}
	own := socketio.NewKey[int]("pid")
	n.Share(own)
	n.Use(func(_ context.Context, s *socketio.Socket) error { return own.Set(s, -1) })
	n.On("whoami", func() map[string]any { return map[string]any{"pid": -1} })
	n.On("count", func(ctx context.Context) answer { return ok(n.ServerCount(ctx)) })
	n.On("join", func(s *socketio.Socket, name string) bool { s.Join(name); return true })
	n.On("say", func(r json.RawMessage, args packet.Args) error { return to(r).Emit("said", args) })
	n.On("fetch", func(ctx context.Context, r json.RawMessage) answer {
		found, err := to(r).FetchSockets(ctx)
		list := []map[string]any{}
		for _, s := range found {
			list = append(list, map[string]any{"id": s.ID, "rooms": s.Rooms, "pid": pid(s), "query": s.Handshake.Query["name"]})
		}
		slices.SortFunc(list, func(a, b map[string]any) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
		return ok(list, err)
	})
	n.On("servers", func(ctx context.Context) answer {
		answers, err := n.ServerSideEmitWithAck(ctx, "who", map[string]any{"bytes": []byte("x")})
		return ok(first(answers), err)
	})
	n.On("ask", func(ctx context.Context, r json.RawMessage) answer {
		answers, err := to(r).Timeout(8*time.Second).EmitWithAck(ctx, "question", []byte("?"))
		return ok(first(answers), err)
	})
	n.On("askOne", func(ctx context.Context, id string) answer {
		answers, err := n.To(id).Timeout(8*time.Second).EmitWithAck(ctx, "question", 1)
		return ok(first(answers), err)
	})
	n.On("joinAll", func(r json.RawMessage) (bool, error) { name, _ := room(r); return true, n.SocketsJoin(name) })
	n.On("leaveAll", func(r json.RawMessage) (bool, error) { name, _ := room(r); return true, n.SocketsLeave(name) })
	n.On("kick", func(r json.RawMessage) { to(r).DisconnectSockets(false) })
	n.OnServer("who", func() string { return "go" })
}

func pid(s socketio.RemoteSocket) any {
	var data struct{ PID any }
	s.DecodeData(&data)
	return data.PID
}

func first(answers []packet.Args) []json.RawMessage {
	list := []json.RawMessage{}
	for _, a := range answers {
		list = append(list, a.Raw(0))
	}
	return list
}
