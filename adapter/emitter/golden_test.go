package emitter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// recorder is a Redis that is never there: it notes the commands before they would be sent.
type recorder struct{ commands [][]any }

func (r *recorder) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *recorder) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "pubsub" { // a look for servers, once
			r.commands = append(r.commands, cmd.Args())
		}
		return nil
	}
}
func (r *recorder) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func record(t testing.TB, cfg emitter.Config) (*emitter.Emitter, *recorder) {
	t.Helper()
	r := new(recorder)
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	client.AddHook(r)
	cfg.Redis = client
	e, err := emitter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e, r
}

// published wants one PUBLISH, and takes it.
func (r *recorder) published(t *testing.T) (channel string, msg []byte) {
	t.Helper()
	if len(r.commands) != 1 || len(r.commands[0]) != 3 || r.commands[0][0] != "publish" {
		t.Fatalf("sent %q, want one PUBLISH", r.commands)
	}
	cmd := r.commands[0]
	r.commands = nil
	return cmd[1].(string), cmd[2].([]byte)
}

// steps are the operations of the golden file, in Go.
var steps = map[string]func(ctx context.Context, e *emitter.Emitter) error{
	"emitter-emit":   func(ctx context.Context, e *emitter.Emitter) error { return e.Emit(ctx, "ev", "x") },
	"emitter-noargs": func(ctx context.Context, e *emitter.Emitter) error { return e.Emit(ctx, "ev") },
	"emitter-binary": func(ctx context.Context, e *emitter.Emitter) error {
		return e.Emit(ctx, "ev", map[string]any{"b": []byte{1, 2}})
	},
	"emitter-undefined": func(ctx context.Context, e *emitter.Emitter) error {
		return e.Emit(ctx, "ev", nil, struct{}{})
	},
	"emitter-room": func(ctx context.Context, e *emitter.Emitter) error { return e.To("r1").Emit(ctx, "ev", 1) },
	"emitter-rooms-except": func(ctx context.Context, e *emitter.Emitter) error {
		return e.To("r1", "r2").Except("r2").Emit(ctx, "ev", 2)
	},
	"emitter-in":       func(ctx context.Context, e *emitter.Emitter) error { return e.In("r1").Emit(ctx, "ev", 3) },
	"emitter-except":   func(ctx context.Context, e *emitter.Emitter) error { return e.Except("r1").Emit(ctx, "ev", 3) },
	"emitter-volatile": func(ctx context.Context, e *emitter.Emitter) error { return e.Volatile().Emit(ctx, "ev", 4) },
	"emitter-compress": func(ctx context.Context, e *emitter.Emitter) error { return e.Compress(false).Emit(ctx, "ev", 5) },
	"emitter-nsp":      func(ctx context.Context, e *emitter.Emitter) error { return e.Of("/chat").Emit(ctx, "ev", 6) },
	"emitter-nsp-noslash": func(ctx context.Context, e *emitter.Emitter) error {
		return e.Of("chat").To("c").Emit(ctx, "ev", 6)
	},
	"emitter-reserved": func(ctx context.Context, e *emitter.Emitter) error { return e.Emit(ctx, "connect") },
	"emitter-emit-function": func(ctx context.Context, e *emitter.Emitter) error {
		return e.Emit(ctx, "ev", func() {})
	},
	"emitter-sockets-join": func(ctx context.Context, e *emitter.Emitter) error { return e.SocketsJoin(ctx, "ej") },
	"emitter-sockets-join-filter": func(ctx context.Context, e *emitter.Emitter) error {
		return e.In("r1").Except("r2").SocketsJoin(ctx, "ej1", "ej2")
	},
	"emitter-sockets-leave": func(ctx context.Context, e *emitter.Emitter) error {
		return e.In("ej").SocketsLeave(ctx, "ej")
	},
	"emitter-sse": func(ctx context.Context, e *emitter.Emitter) error { return e.ServerSideEmit(ctx, "sse", "x", 1) },
	"emitter-sse-ack": func(ctx context.Context, e *emitter.Emitter) error {
		return e.ServerSideEmit(ctx, "sse", func() {})
	},
	"emitter-disconnect-room": func(ctx context.Context, e *emitter.Emitter) error {
		return e.In("nobody").DisconnectSockets(ctx, false)
	},
	"emitter-disconnect-close": func(ctx context.Context, e *emitter.Emitter) error {
		return e.In("nobody").DisconnectSockets(ctx, true)
	},
}

// TestGolden holds every operation that was recorded of @socket.io/redis-emitter to its bytes.
func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("../testdata/redis-emitter.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Steps []struct {
			Name   string
			Result struct {
				Throws *string `json:"$throws"`
			}
			Vectors []string
		}
		Vectors []struct {
			Name    string
			Channel string
			B64     []byte
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Steps) != len(steps) {
		t.Errorf("%d steps are recorded, %d are here", len(file.Steps), len(steps))
	}
	e, r := record(t, emitter.Config{})
	checked := 0
	for _, s := range file.Steps {
		t.Run(s.Name, func(t *testing.T) {
			do := steps[s.Name]
			if do == nil {
				t.Fatal("not here")
			}
			err := do(t.Context(), e)
			if s.Result.Throws != nil {
				if err == nil || len(r.commands) > 0 {
					t.Errorf("%v, sent %q, want an error and nothing sent", err, r.commands)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			channel, msg := r.published(t)
			for _, v := range file.Vectors {
				if v.Name != s.Vectors[0] {
					continue
				}
				checked++
				if channel != v.Channel || !bytes.Equal(msg, v.B64) {
					t.Errorf("%s: %q\nwant %s: %q", channel, msg, v.Channel, v.B64)
				}
			}
		})
	}
	if checked != len(file.Vectors) {
		t.Errorf("%d vectors of %d were compared", checked, len(file.Vectors))
	}
}

func TestRefusals(t *testing.T) {
	e, r := record(t, emitter.Config{MaxMessageBytes: 100})
	ctx := t.Context()
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		err := e.To("r").Emit(ctx, name)
		if want := `"` + name + `" is a reserved event name`; !errors.Is(err, emitter.ErrReserved) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, name := range []string{"connect", "connection", "new_namespace"} {
		if err := e.ServerSideEmit(ctx, name); !errors.Is(err, emitter.ErrReserved) {
			t.Errorf("a server-side %s: %v", name, err)
		}
	}
	if err := e.Emit(ctx, "ev", 1, func(string) {}); !errors.Is(err, emitter.ErrAck) {
		t.Errorf("a function: %v", err)
	}
	if err := e.ServerSideEmit(ctx, "ev", func(string) {}); !errors.Is(err, emitter.ErrAck) {
		t.Errorf("a function to servers: %v", err)
	}
	if err := e.Emit(ctx, "ev", make(chan int)); err == nil {
		t.Error("a channel was sent")
	}
	if err := e.ServerSideEmit(ctx, "ev", make(chan int)); err == nil {
		t.Error("a channel was sent to servers")
	}
	if err := e.Emit(ctx, "ev", make([]byte, 100)); !errors.Is(err, emitter.ErrTooLarge) {
		t.Errorf("100 bytes: %v", err)
	}
	// Nothing to do is no error, and no message: a receiver would take one without rooms for
	// malformed.
	if err := errors.Join(e.SocketsJoin(ctx), e.In("r").SocketsLeave(ctx)); err != nil {
		t.Error(err)
	}
	if len(r.commands) > 0 {
		t.Errorf("sent %q", r.commands)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []emitter.Config{
		{},
		{Redis: redis.NewClient(&redis.Options{})},
		{Redis: redis.NewClusterClient(&redis.ClusterOptions{})},
		{Redis: redis.NewRing(&redis.RingOptions{})},
		{Redis: redis.NewClient(&redis.Options{ContextTimeoutEnabled: true}), MaxMessageBytes: -1},
	} {
		if cfg.Redis != nil {
			t.Cleanup(func() { cfg.Redis.Close() })
		}
		if _, err := emitter.New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

// TestChannelsAndRooms covers what the recording has not: Key, rooms that Node knows by number,
// rooms named twice, both flags, and binary arguments of server-side events.
func TestChannelsAndRooms(t *testing.T) {
	e, r := record(t, emitter.Config{Key: "k"})
	for _, c := range []struct {
		do      func(ctx context.Context, e *emitter.Emitter) error
		channel string
		decoded string
	}{
		{func(ctx context.Context, e *emitter.Emitter) error {
			return e.To(packet.NumberRoom(42)).To(packet.NumberRoom(42)).Volatile().Compress(true).Emit(ctx, "ev", 1.5, -7, "é\"")
		}, "k#/#42#", `["emitter",{"type":2,"data":["ev",1.5,-7,"é\""],"nsp":"/"},{"rooms":[42],"flags":{"volatile":true,"compress":true},"except":[]}]`},
		{func(ctx context.Context, e *emitter.Emitter) error {
			return e.In("42", packet.NumberRoom(-1), "42").Except("a b", "a b").Emit(ctx, "ev")
		}, "k#/#", `["emitter",{"type":2,"data":["ev"],"nsp":"/"},{"rooms":["42",-1],"flags":{},"except":["a b"]}]`},
		{func(ctx context.Context, e *emitter.Emitter) error {
			return e.Of("").To("a#\"b").Emit(ctx, "ev")
		}, `k#/#a#"b#`, `["emitter",{"type":2,"data":["ev"],"nsp":"/"},{"rooms":["a#\"b"],"flags":{},"except":[]}]`},
		{func(ctx context.Context, e *emitter.Emitter) error {
			return e.Of("n").SocketsJoin(ctx, packet.NumberRoom(7), "7")
		}, "k-request#/n#", ""},
		{func(ctx context.Context, e *emitter.Emitter) error {
			return e.ServerSideEmit(ctx, "ev", []byte("ab"))
		}, "k-request#/#", `{"uid":"emitter","type":6,"data":["ev",{"_placeholder":true,"num":0}]}`},
	} {
		if err := c.do(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		channel, msg := r.published(t)
		if channel != c.channel {
			t.Errorf("on %s, want %s", channel, c.channel)
		}
		if c.decoded == "" {
			if want := `{"type":2,"opts":{"rooms":[],"except":[]},"rooms":[7,"7"]}`; string(msg) != want {
				t.Errorf("%s, want %s", msg, want)
			}
			continue
		}
		text, _, err := wire.DecodeValue(nil, nil, msg)
		if err != nil || string(text) != c.decoded {
			t.Errorf("%s, %v\nwant %s", text, err, c.decoded)
		}
	}
}

// TestOperatorsAreValues holds that one can be kept, and two be made of it.
func TestOperatorsAreValues(t *testing.T) {
	e, r := record(t, emitter.Config{})
	base := e.To("a", "b", "c")
	left, right := base.To("left"), base.To("right").Except("x")
	for _, c := range []struct {
		o     emitter.Operator
		rooms []string
	}{{left, []string{"a", "b", "c", "left"}}, {right, []string{"a", "b", "c", "right"}}, {base, []string{"a", "b", "c"}}} {
		if err := c.o.Emit(t.Context(), "ev"); err != nil {
			t.Fatal(err)
		}
		_, msg := r.published(t)
		b, err := wire.ParseBroadcast(msg)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(b.Rooms.Strings()); got != fmt.Sprint(c.rooms) {
			t.Errorf("rooms %s, want %s", got, c.rooms)
		}
	}
}
