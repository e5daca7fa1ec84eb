package adapterenv

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

func settings(t *testing.T, environ ...string) config.Cluster {
	t.Helper()
	var set config.Worker
	if _, err := config.Load(&set, config.Source{Environ: environ}); err != nil {
		t.Fatal(err)
	}
	return set.Cluster
}

// serve runs a server with what the settings say, until the test ends.
func serve(t *testing.T, store *testkit.Redis, environ ...string) *socketio.Server {
	t.Helper()
	cfg := Config(settings(t, environ...))
	cfg.Redis.URL = store.URL()
	cluster, err := adapter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	io, err := socketio.New(socketio.Config{Adapter: cluster, Recovery: &socketio.Recovery{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- io.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	patient, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := cluster.Wait(patient); err != nil {
		t.Fatal(err)
	}
	return io
}

// monitor gives every command that Redis gets, a line each.
func monitor(t *testing.T, store *testkit.Redis) *bufio.Scanner {
	t.Helper()
	conn, err := net.Dial("tcp", store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	if !lines.Scan() || lines.Text() != "+OK" {
		t.Fatalf("MONITOR: %s", lines.Text())
	}
	return lines
}

// TestStreamsAreUsedAsTheSettingsSay looks at what Redis is told.
func TestStreamsAreUsedAsTheSettingsSay(t *testing.T) {
	store := testkit.StartRedis(t)
	commands := monitor(t, store)
	io := serve(t, store, "SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_ADAPTER_KEY=rooms", "SIDEREAL_STREAM_NAME=orders",
		"SIDEREAL_STREAM_COUNT=2", "SIDEREAL_STREAM_MAX_LEN=50", "SIDEREAL_STREAM_MAX_BYTES=1000", "SIDEREAL_STREAM_READ_COUNT=7", "SIDEREAL_STREAM_BLOCK=1234ms",
		"SIDEREAL_STREAM_SHARDED_PUBSUB=on")
	for range 4 {
		if err := io.Emit("said", strings.Repeat("x", 400)); err != nil {
			t.Fatal(err)
		}
	}
	wanted := []string{
		`"XADD" "orders-1" "MAXLEN" "~" "50" "*"`,
		`"xtrim" "orders-1" "minid" "~"`,
		`"xread" "count" "7" "block" "1234" "streams" "orders--1" "orders-0" "orders-1"`,
		`"ssubscribe" "rooms#/#`, // or the server's own first
	}
	for len(wanted) > 0 {
		if !commands.Scan() {
			t.Fatalf("Redis was not told %q: %v", wanted, commands.Err())
		}
		line := strings.ToLower(commands.Text())
		wanted = slices.DeleteFunc(wanted, func(w string) bool { return strings.Contains(line, strings.ToLower(w)) })
	}
}

// TestRoomsAreKeptAsTheSettingsSay: with a linger of nothing a room's channel is left with its last
// client.
func TestRoomsAreKeptAsTheSettingsSay(t *testing.T) {
	store := testkit.StartRedis(t)
	serve(t, store, "SIDEREAL_ADAPTER=redis-sharded", "SIDEREAL_ADAPTER_KEY=rooms", "SIDEREAL_ADAPTER_MODE=static", "SIDEREAL_ADAPTER_LINGER=0s")
	for _, channel := range store.Do("PUBSUB", "SHARDCHANNELS").([]any) {
		if !strings.HasPrefix(channel.(string), "rooms#/#") {
			t.Errorf("it listens to %v", channel)
		}
	}
}

// TestAnswersGoWhereTheSettingsSay asks as a Node server would.
func TestAnswersGoWhereTheSettingsSay(t *testing.T) {
	store := testkit.StartRedis(t)
	serve(t, store, "SIDEREAL_ADAPTER_SPECIFIC_RESPONSES=on")
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	answers := client.Subscribe(ctx, "socket.io-response#/#abcdef#")
	defer answers.Close()
	if _, err := answers.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	store.Do("PUBLISH", "socket.io-request#/#", `{"uid":"abcdef","requestId":"123456","type":1}`)
	if m, err := answers.ReceiveMessage(ctx); err != nil || !strings.Contains(m.Payload, "123456") {
		t.Errorf("%v, %v", m, err)
	}
}

// TestTheBufferIsAsLargeAsTheSettingsSay: a message that fits no buffer is refused.
func TestTheBufferIsAsLargeAsTheSettingsSay(t *testing.T) {
	store := testkit.StartRedis(t)
	io := serve(t, store, "SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES=100")
	if err := io.Emit("said", strings.Repeat("x", 100)); err == nil {
		t.Error("a message longer than SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES was taken")
	}
	if err := io.Emit("said", "x"); err != nil {
		t.Error(err)
	}
}

func TestRecordsSayWhatMembersMustAgreeOn(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    directory.Worker
	}{
		{nil, directory.Worker{Adapter: "redis", AdapterKey: "socket.io"}},
		{[]string{"SIDEREAL_ADAPTER=memory", "SIDEREAL_ADAPTER_KEY=k"}, directory.Worker{Adapter: "memory"}},
		{[]string{"SIDEREAL_ADAPTER=redis-sharded"}, directory.Worker{Adapter: "redis-sharded", AdapterKey: "socket.io", AdapterMode: "dynamic"}},
		{[]string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_STREAM_COUNT=4"}, directory.Worker{Adapter: "redis-streams", AdapterKey: "socket.io", Stream: "socket.io", Streams: 4}},
	} {
		var got directory.Worker
		cfg := new(adapter.Config)
		if set := settings(t, c.environ...); set.Adapter == Memory {
			cfg = nil
		} else {
			*cfg = Config(set)
		}
		if Describe(cfg, &got); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.environ, got, c.want)
		}
	}
}
