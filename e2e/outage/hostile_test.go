//go:build e2e

package outage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// secret stands in every hostile message: no log may have it.
const secret = "SECRET"

// longest is the bound on messages of the server under attack.
const longest = 64 << 10

// recorded are the files with real messages of each form, which are cut short.
var recorded = map[string]string{"redis": "classic.json", "redis-sharded": "sharded-static.json", "redis-streams": "streams.json", recovering: "streams-csr.json"}

// TestHostileMessages: whatever is published on whichever channel, the server lives, its clients
// hear nothing of it, each message is counted, and the log has no word of any.
func TestHostileMessages(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		store := testkit.StartRedis(t)
		a := join(t, form, "a", store.URL(), fmt.Sprintf("%s=%d", messageEnv, longest))
		ask[bool](a, "join", "room")
		client := redis.NewClient(&redis.Options{Addr: store.Addr()})
		defer client.Close()
		ways := waysTo(t, form, client)
		messages := hostile(t, form)
		before := handled(a)
		pipe := client.Pipeline()
		for _, w := range ways {
			for i, m := range messages {
				w.publish(pipe, i, m)
			}
		}
		sent, err := pipe.Exec(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range sent {
			if n, ok := cmd.(*redis.IntCmd); ok && n.Val() != 1 {
				t.Fatalf("%d heard %v", n.Val(), cmd.Args()[:2])
			}
		}
		last := 0.0
		testkit.Until(t, "all hostile messages to be counted", func() bool {
			last = handled(a) - before
			return last >= float64(len(sent))
		})
		if last != float64(len(sent)) {
			t.Errorf("%v counted of %d", last, len(sent))
		}
		counters := ask[map[string]float64](a, "counters")
		if counters["dropped_total malformed"] == 0 || counters["dropped_total oversized"] != float64(len(ways)) {
			t.Errorf("counted as %v", counters)
		}
		b := join(t, form, "b", store.URL())
		b.burst(0, 10)
		a.expect(0, 10)
		if a.heardAnything.Load() {
			t.Error("a client was told something hostile")
		}
		a.Stop(t)
		for _, line := range a.Output.All() {
			if strings.Contains(line, secret) {
				t.Errorf("the log says %.200s", line)
			}
		}
	})
}

// TestMalformedSizesCostLittle: lengths that messages announce, and messages far beyond the bound,
// cost no memory of that size, on whichever channel they come.
func TestMalformedSizesCostLittle(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		most := 16 << 20
		if strings.HasPrefix(form, "redis-streams") {
			most = 32 << 20 // entries of a stream are read whole
		}
		store := testkit.StartRedis(t, "--client-output-buffer-limit", "pubsub 0 0 0") // or it cuts off a server that reads slowly
		a := join(t, form, "a", store.URL(), fmt.Sprintf("%s=%d", messageEnv, longest))
		ask[bool](a, "join", "room")
		client := redis.NewClient(&redis.Options{Addr: store.Addr()})
		defer client.Close()
		ways := waysTo(t, form, client)
		before, held := handled(a), peak(t, a)
		sent := 0
		for _, w := range ways {
			for i, m := range malformedSizes() {
				pipe := client.Pipeline()
				w.publish(pipe, i, m)
				if _, err := pipe.Exec(patience(t)); err != nil {
					t.Fatal(err)
				}
				sent++
			}
		}
		testkit.Until(t, "all to be counted", func() bool { return handled(a)-before >= float64(sent) })
		if grown := peak(t, a) - held; grown > most {
			t.Errorf("%d messages on %d channels cost %d MiB", sent, len(ways), grown>>20)
		} else {
			t.Logf("%d messages on %d channels cost %d KiB", sent, len(ways), grown>>10)
		}
		a.Stop(t)
	})
}

// malformedSizes are messages that announce more than they have, whole or where a broadcast has its
// parts, and long ones.
func malformedSizes() (messages [][]byte) {
	for _, before := range []string{"", "\x93\xa6foreig", "\x93\xa6foreig\x83\xa4type\x02\xa4data"} {
		for _, kind := range []string{"\xdd", "\xdf", "\xdb", "\xc6", "\xc9"} { // array, map, text, binary, extension
			for _, size := range []string{"\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\x03\x00\x00\x00"} {
				messages = append(messages, []byte(before+kind+size+strings.Repeat("\x80", longest/2)))
			}
		}
	}
	return append(messages, bytes.Repeat([]byte("x"), 8<<20), bytes.Repeat([]byte("\x91"), 8<<20))
}

// peak is the most memory that the member's process has had, in bytes.
func peak(t *testing.T, m *member) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.PID()))
	if err != nil {
		t.Skip("no /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes int
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// handled is how many messages the server has heard and made up its mind about.
func handled(m *member) float64 {
	c := ask[map[string]float64](m, "counters")
	return c["messages_total in"] + c["messages_total skipped"] + c["dropped_total malformed"] + c["dropped_total oversized"]
}

// way is one by which messages reach servers: a channel, a channel of sharded pub/sub, or a stream.
type way struct {
	name            string
	sharded, stream bool
}

func (w way) publish(pipe redis.Pipeliner, i int, message []byte) {
	ctx := context.Background() // of the pipeline's end
	switch {
	case w.stream:
		types := []string{"3", "4", "5", "6", "9", "-1", secret}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: w.name, Values: []any{"uid", "x", "nsp", "/", "type", types[i%len(types)], "data", message}})
	case w.sharded:
		pipe.SPublish(ctx, w.name, message)
	default:
		pipe.Publish(ctx, w.name, message)
	}
}

// waysTo are those to the only server.
func waysTo(t *testing.T, form string, client *redis.Client) (ways []way) {
	t.Helper()
	ctx := patience(t)
	channels, err := client.PubSubChannels(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range channels {
		ways = append(ways, way{name: name})
	}
	const room = "socket.io#/#room#"
	switch form {
	case "redis": // it has a pattern for these
		return append(ways, way{name: "socket.io#/#"}, way{name: room})
	case "redis-streams", recovering:
		return append(ways, way{name: "socket.io", stream: true})
	}
	testkit.Until(t, "the room to have its channel", func() bool {
		n, err := client.PubSubShardNumSub(ctx, room).Result()
		return err == nil && n[room] == 1
	})
	shards, err := client.PubSubShardChannels(ctx, "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range shards {
		ways = append(ways, way{name: name, sharded: true})
	}
	return ways
}

// hostile are messages that no server sends.
func hostile(t *testing.T, form string) (messages [][]byte) {
	t.Helper()
	for _, text := range []string{
		"", "{", "{}", "[]", "null", "0", "\xc0", "\x80", "\x90", "\x93\xc0\xc0\xc0", "\xc1", secret, `"` + secret + `"`,
		`{"uid":"` + secret + `"}`, `{"uid":1,"type":5,"requestId":2}`, `{"uid":"x","type":5,"requestId":"r"}`, `{"uid":"x","type":6}`,
		`{"uid":"x","type":7,"requestId":"r"}`, `{"uid":"x","type":99,"requestId":"r","data":["` + secret + `"]}`,
		`{"uid":"x","nsp":"/","type":3}`, `{"uid":"x","nsp":"/","type":3,"data":null}`, `{"uid":"x","nsp":"/","type":9,"data":{}}`,
		`{"type":3,"data":{"packet":{},"opts":{}},"uid":"x","nsp":"/"}`, `{"requestId":"` + secret + `","sockets":1}`,
		`{"__proto__":{"` + secret + `":1}}`,
		"\x93\xa6foreig\x83\xa4type\x02\xa4data\x91", // a packet that ends in its data
		"\x93\xa6foreig\xdf\xff\xff\xff\xff",         // a map of 4 billion members
		"\xdd\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff" + secret,
		strings.Repeat("[", 20_000), strings.Repeat("\x91", 20_000), `{"a":` + strings.Repeat("[", 20_000),
		strings.Repeat("x", longest+1),
	} {
		messages = append(messages, []byte(text))
	}
	raw, err := os.ReadFile(filepath.Join(harness.Root(), "adapter", "testdata", recorded[form]))
	if err != nil {
		t.Fatal(err)
	}
	var recording struct {
		Vectors []struct {
			Cmd, Enc string
			B64      []byte
		}
	}
	if err := json.Unmarshal(raw, &recording); err != nil {
		t.Fatal(err)
	}
	for i, v := range recording.Vectors {
		if size := len(v.B64); v.Enc != "raw" && size > 1 && size < longest {
			cut := bytes.Clone(v.B64[:1+i*7919%(size-1)])
			messages = append(messages, cut)
		}
	}
	if len(messages) < 100 {
		t.Fatalf("only %d messages", len(messages))
	}
	return messages
}
