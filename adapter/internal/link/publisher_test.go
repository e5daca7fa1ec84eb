package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	redisserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestOutcome(t *testing.T) {
	op := func(op string, err error) error { return fmt.Errorf("wrapped: %w", &net.OpError{Op: op, Err: err}) }
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"answered", nil, ""},
		{"no such right", answer("NOPERM no permissions to access one of the channels"), Refused},
		{"another node serves it now", answer("MOVED 1 127.0.0.1:7001"), Away},
		{"still loading", answer("LOADING Redis is loading the dataset in memory"), Away},
		{"its memory is full", answer("OOM command not allowed when used memory > 'maxmemory'."), Away},
		{"its disk fails", answer("MISCONF Redis is configured to save RDB snapshots"), Away},
		{"a replica", answer("READONLY You can't write against a read only replica."), Away},
		{"too few replicas", answer("NOREPLICAS Not enough good replicas to write."), Away},
		{"we closed the connection", op("read", net.ErrClosed), uncertain},
		{"connection refused", op("dial", errors.New("connection refused")), Away},
		{"dial timed out: nothing was sent", op("dial", os.ErrDeadlineExceeded), Away},
		{"closed: no answer can come", io.EOF, Away},
		{"reset", op("read", errors.New("connection reset by peer")), Away},
		{"no answer in time: it may still be carried out", op("read", os.ErrDeadlineExceeded), uncertain},
		{"written in part", op("write", os.ErrDeadlineExceeded), uncertain},
	}
	for _, tt := range tests {
		if got := Outcome(tt.err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// answer is an error that Redis answered with.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

var _ redis.Error = answer("")

func TestOldMessagesAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPublisher(t, Config{BufferAge: time.Minute})
		p.send(Message{Channel: "c", Payload: []byte("old")}, false)
		time.Sleep(61 * time.Second)
		p.send(Message{Channel: "c", Payload: []byte("new")}, false)
		p.paused = false
		if !p.take() || len(p.batch) != 1 || string(p.batch[0].Payload) != "new" {
			t.Errorf("%d messages to send", len(p.batch))
		}
		if n := linktest.Counter(t, p.metrics.dropped.WithLabelValues(expired)); n != 1 {
			t.Errorf("%v expired", n)
		}
	})
}

func TestBytesAreBounded(t *testing.T) {
	p := testPublisher(t, Config{BufferBytes: 1000})
	for i := range 100 {
		p.send(Message{Channel: "c", Payload: make([]byte, 100+i)}, false)
	}
	if p.waiting.bytes > 1000 || p.waiting.len() != 5 {
		t.Errorf("%d bytes in %d messages", p.waiting.bytes, p.waiting.len())
	}
	p.send(Message{Channel: "c", Payload: make([]byte, 2000)}, false)
	if p.waiting.bytes != 0 {
		t.Errorf("%d bytes are left of a message that does not fit", p.waiting.bytes)
	}
}

// TestUnansweredGoFirst: what comes back after a failed batch is sent before what came meanwhile.
func TestUnansweredGoFirst(t *testing.T) {
	p := testPublisher(t, Config{})
	p.paused = false
	for _, s := range []string{"a", "b", "c"} {
		p.send(Message{Channel: s, Payload: []byte(s)}, false)
	}
	if !p.take() {
		t.Fatal("nothing to send")
	}
	p.send(Message{Channel: "d", Payload: []byte("d")}, false)
	p.done(append([]Message(nil), p.batch[1:]...))
	if !p.paused || p.waiting.bytes != 3 {
		t.Errorf("paused %v with %d bytes", p.paused, p.waiting.bytes)
	}
	p.paused = false
	p.take()
	var order string
	for _, m := range p.batch {
		order += m.Channel
	}
	if order != "bcd" {
		t.Errorf("sent in the order %s", order)
	}
}

// TestUnansweredMessagesAreSaidAgainToAnotherRedisAlone: the one that was asked carries them out
// when it goes on.
func TestUnansweredMessagesAreSaidAgainToAnotherRedisAlone(t *testing.T) {
	for _, c := range []struct {
		before, after string
		again         bool
	}{{"a", "b", true}, {"a", "a", false}, {"a", "", false}, {"", "b", false}} {
		p := testPublisher(t, Config{})
		p.settle(c.before)
		p.send(Message{Channel: "later", Payload: []byte("x")}, false)
		p.doubtful.messages = []Message{{Channel: "first", Payload: []byte("x")}, {Channel: "second", Payload: []byte("x")}}
		p.settle(c.after)
		var order []string
		for p.waiting.len() > 0 {
			order = append(order, p.waiting.pop().Channel)
		}
		want, dropped := []string{"later"}, 2.0
		if c.again {
			want, dropped = []string{"first", "second", "later"}, 0
		}
		if n := linktest.Counter(t, p.metrics.dropped.WithLabelValues(uncertain)); !slices.Equal(order, want) || n != dropped || p.waiting.bytes != 0 {
			t.Errorf("%q, then %q: %q to be sent, %v dropped, %d bytes left", c.before, c.after, order, n, p.waiting.bytes)
		}
	}
}

func TestDrainEndsWithoutRedis(t *testing.T) {
	p := testPublisher(t, Config{})
	p.send(Message{Channel: "c", Payload: []byte("x")}, false)
	p.drain(context.Background()) // paused: nothing can be sent
}

func TestQueueDoesNotGrowWithoutEnd(t *testing.T) {
	p := testPublisher(t, Config{})
	p.paused = false
	for range 10_000 {
		for range 10 {
			p.send(Message{Channel: "c", Payload: []byte("x")}, false)
		}
		p.take()
		p.done(nil)
	}
	if cap(p.waiting.queue) > 1000 {
		t.Errorf("room for %d messages after at most 10 at a time", cap(p.waiting.queue))
	}
}

func testPublisher(t testing.TB, cfg Config) *publisher {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	return newPublisher(cfg.withDefaults(), nil, nil, m, func() {})
}

// TestSlowNodeKeepsItsMessages: a node of a cluster has a batch for longer than the publisher waits
// for an answer. If the node carries out later commands meanwhile, the publisher goes on waiting.
// If it doesn't, the publisher gives the batch up and counts it.
func TestSlowNodeKeepsItsMessages(t *testing.T) {
	for _, frozen := range []bool{false, true} {
		t.Run(fmt.Sprintf("frozen %t", frozen), func(t *testing.T) {
			t.Parallel()
			m := testkit.MiniRedis(t)
			busy := make(chan struct{})
			free := sync.OnceFunc(func() { close(busy) })
			defer free()
			m.Server().SetPreHook(func(_ *redisserver.Peer, cmd string, args ...string) bool {
				if cmd == "PUBLISH" {
					<-busy
				}
				return false
			})
			conn := linktest.Connect(t, "redis+cluster://"+m.Addr())
			defer func() { _ = conn.Close() }()
			metrics, err := newMetrics(nil)
			if err != nil {
				t.Fatal(err)
			}
			failed, asked := make(chan struct{}, 1), make(chan []*redis.Client, 1)
			p := newPublisher(Config{Log: slog.New(slog.DiscardHandler)}.withDefaults(), &simple{}, conn, metrics, func() { failed <- struct{}{} })
			defer testkit.Run(t, p.run)()
			defer testkit.Run(t, func(ctx context.Context) error {
				another := func(context.Context, string) bool { return false }
				return p.watchdog.run(ctx, another, func(ctx context.Context, waiting []*redis.Client) []*redis.Client {
					select {
					case asked <- waiting:
					case <-ctx.Done():
					}
					if frozen {
						return waiting
					}
					return nil
				})
			})()
			for range batchMessages {
				p.send(Message{Channel: "c", Payload: []byte("m")}, false)
			}
			p.resume()
			if waiting := <-asked; len(waiting) != 1 || waiting[0].Options().Addr != m.Addr() {
				t.Errorf("%v don't answer", waiting)
			}
			want := 0.0
			if frozen {
				<-failed
				p.settle("")
				want = batchMessages
			} else {
				<-asked // after an answer
				free()
				p.drain(t.Context())
			}
			lost, out := linktest.Counter(t, metrics.dropped.WithLabelValues(uncertain)), linktest.Counter(t, metrics.out)
			if lost != want || lost+out != batchMessages {
				t.Errorf("%v of %d messages went out, %v are uncertain", out, batchMessages, lost)
			}
		})
	}
}
