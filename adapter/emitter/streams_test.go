package emitter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
)

// streamSteps are the operations of the golden file of @socket.io/redis-streams-emitter, in Go.
var streamSteps = map[string]func(ctx context.Context, e *emitter.Emitter) error{
	"emitter-emit": func(ctx context.Context, e *emitter.Emitter) error { return e.Emit(ctx, "ev", "x") },
	"emitter-binary": func(ctx context.Context, e *emitter.Emitter) error {
		return e.Emit(ctx, "ev", map[string]any{"b": []byte{1, 2}})
	},
	"emitter-room-flags": func(ctx context.Context, e *emitter.Emitter) error {
		return e.To("r1").Except("r2").Volatile().Compress(false).Emit(ctx, "ev", 1)
	},
	"emitter-nsp":           func(ctx context.Context, e *emitter.Emitter) error { return e.Of("/chat").Emit(ctx, "ev", 6) },
	"emitter-sockets-join":  func(ctx context.Context, e *emitter.Emitter) error { return e.In("r1").SocketsJoin(ctx, "ej") },
	"emitter-sockets-leave": func(ctx context.Context, e *emitter.Emitter) error { return e.In("ej").SocketsLeave(ctx, "ej") },
	"emitter-sse":           func(ctx context.Context, e *emitter.Emitter) error { return e.ServerSideEmit(ctx, "sse", "x", 1) },
	"emitter-disconnect": func(ctx context.Context, e *emitter.Emitter) error {
		return e.In("nobody").DisconnectSockets(ctx, true)
	},
}

// TestStreamsGolden holds every operation that was recorded of @socket.io/redis-streams-emitter to
// its command.
func TestStreamsGolden(t *testing.T) {
	raw, err := os.ReadFile("../testdata/redis-streams-emitter.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			Name, Channel string
			Args          []string
			Fields        [][2]string
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != len(streamSteps) {
		t.Errorf("%d steps are recorded, %d are here", len(file.Vectors), len(streamSteps))
	}
	r := new(recorder)
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer client.Close()
	client.AddHook(r)
	e, err := emitter.New(emitter.Config{Redis: client, Form: emitter.Streams{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		name := v.Name[:len(v.Name)-2] // without the number of the vector
		do := streamSteps[name]
		if do == nil {
			t.Errorf("%s is not here", name)
			continue
		}
		if err := do(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want := append([]string{"XADD", v.Channel}, v.Args...)
		for _, f := range v.Fields {
			want = append(want, f[0], f[1])
		}
		var got []string
		for _, arg := range r.commands[0] {
			if b, ok := arg.([]byte); ok {
				arg = string(b)
			}
			got = append(got, fmt.Sprint(arg))
		}
		if len(r.commands) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: sent\n%q, want\n%q", name, got, want)
		}
		r.commands = nil
	}
}

func TestStreamsRefusesWhatItCannotDo(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer client.Close()
	if _, err := emitter.New(emitter.Config{Form: emitter.Streams{}}); err == nil {
		t.Error("an emitter without a Redis was made")
	}
	if _, err := emitter.New(emitter.Config{Redis: client, Form: emitter.Streams{MaxLen: -1}}); err == nil {
		t.Error("a negative length was accepted")
	}
}
