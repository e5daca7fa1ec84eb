package redisserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// embedded serves an embedded Redis that ends with the test.
func embedded(t testing.TB, password string) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e, err := Serve(ctx, "", password)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		e.Wait()
	})
	return e
}

// TestEmbeddedKeepsOrder publishes from several connections, by turns on a channel and on one that
// only a pattern matches. Both subscribers must hear each publisher in its order, and all
// publishers in the same order.
func TestEmbeddedKeepsOrder(t *testing.T) {
	const publishers, messages = 4, 10_000
	e := embedded(t, "")
	c := open(t, redisconn.Config{URL: e.URL()})
	topics := redisconn.SubConfig{Channels: []string{"channel"}, Patterns: []string{"pattern#*"}}
	first, second := listen(t, c, topics), listen(t, c, topics)
	wait(t, first)
	wait(t, second)

	var publishing sync.WaitGroup
	for p := range publishers {
		publishing.Go(func() {
			client := open(t, redisconn.Config{URL: e.URL()}).Client()
			for n := 0; n < messages; {
				pipe := client.Pipeline()
				for range 1 + n%50 { // one alone, and pipelines
					if n < messages {
						pipe.Publish(context.Background(), []string{"channel", "pattern#x"}[n%2], fmt.Sprintf("%d:%d", p, n))
						n++
					}
				}
				if _, err := pipe.Exec(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [publishers]int
	for range publishers * messages {
		m := testkit.Receive(t, "a message", first.Messages)
		from, number, _ := strings.Cut(m.Payload, ":")
		p, _ := strconv.Atoi(from)
		if number != strconv.Itoa(next[p]) {
			t.Fatalf("publisher %d: heard %s, want %d", p, number, next[p])
		}
		if want := []string{"channel", "pattern#x"}[next[p]%2]; m.Channel != want {
			t.Fatalf("publisher %d: %s heard on %s, want %s", p, number, m.Channel, want)
		}
		next[p]++
		second.Expect(t, m.Channel, m.Payload)
	}
	publishing.Wait()
}

func TestEmbeddedDeliversOnceForEachChannelAndPattern(t *testing.T) {
	e := embedded(t, "")
	c := open(t, redisconn.Config{URL: e.URL()})
	l := listen(t, c, redisconn.SubConfig{Channels: []string{"ab"}, Patterns: []string{"a*", "?b", "x*"}})
	wait(t, l)
	if n, err := c.Client().Publish(t.Context(), "ab", "m").Result(); n != 3 || err != nil {
		t.Errorf("%d deliveries, %v", n, err)
	}
	for range 3 {
		l.Expect(t, "ab", "m")
	}
}

func TestEmbeddedCutsOffASlowSubscriberAlone(t *testing.T) {
	e := embedded(t, "p")
	slow := dial(t, e.Addr())
	slow.send(t, "AUTH", "p")
	slow.send(t, "SUBSCRIBE", "a")
	for range 7 { // +OK, and the six lines of the confirmation
		slow.line(t)
	}
	c := open(t, redisconn.Config{URL: e.URL()})
	other := listen(t, c, redisconn.SubConfig{Channels: []string{"a"}})
	wait(t, other)

	payload := strings.Repeat("x", 1<<20)
	published := 0
	for subscribers := int64(2); subscribers == 2; published++ { // what the kernel takes does not count
		if published > 1000 {
			t.Fatal("never cut off")
		}
		if err := c.Client().Publish(t.Context(), "a", payload).Err(); err != nil {
			t.Fatal(err)
		}
		other.Expect(t, "a", payload)
		count, err := c.Client().PubSubNumSub(t.Context(), "a").Result()
		if err != nil {
			t.Fatal(err)
		}
		subscribers = count["a"]
	}
	if published < outboxLimit>>20 {
		t.Errorf("cut off after %d MB", published)
	}
	if _, err := io.Copy(io.Discard, slow.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	c.Client().Publish(t.Context(), "a", "after")
	other.Expect(t, "a", "after")
}

func TestEmbeddedForgetsWhoLeft(t *testing.T) {
	e := embedded(t, "p")
	client := open(t, redisconn.Config{URL: e.URL()}).Client()
	c := dial(t, e.Addr())
	c.send(t, "AUTH", "p")
	c.send(t, "SUBSCRIBE", "a")
	c.send(t, "PSUBSCRIBE", "p*")
	for range 1 + 2*6 {
		c.line(t)
	}
	if n, err := client.PubSubNumPat(t.Context()).Result(); n != 1 || err != nil {
		t.Errorf("%d patterns, %v", n, err)
	}
	c.Close()
	for { // go test's own timeout bounds it
		channels, err := client.PubSubChannels(t.Context(), "").Result()
		if err != nil {
			t.Fatal(err)
		}
		patterns, err := client.PubSubNumPat(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(channels) == 0 && patterns == 0 {
			break
		}
	}
	e.pubsub.mu.Lock()
	defer e.pubsub.mu.Unlock()
	if left := len(e.pubsub.channels) + len(e.pubsub.patterns); left != 0 {
		t.Errorf("%d topics without subscribers", left)
	}
}

func TestEmbeddedPublishesFromTransactionsAndScripts(t *testing.T) {
	e := embedded(t, "")
	c := open(t, redisconn.Config{URL: e.URL()})
	l := listen(t, c, redisconn.SubConfig{Channels: []string{"a"}, Patterns: []string{"p*"}})
	wait(t, l)
	ctx := t.Context()

	tx := c.Client().TxPipeline()
	set := tx.Set(ctx, "k", "v", 0)
	published := tx.Publish(ctx, "a", "1")
	numsub := tx.PubSubNumSub(ctx, "a", "b")
	last := tx.Publish(ctx, "p", "2")
	if _, err := tx.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	if set.Val() != "OK" || published.Val() != 1 || numsub.Val()["a"] != 1 || last.Val() != 1 {
		t.Errorf("got %v, %v, %v, %v", set, published, numsub, last)
	}
	l.Expect(t, "a", "1")
	l.Expect(t, "p", "2")

	n, err := c.Client().Eval(ctx, `return redis.call("PUBLISH", KEYS[1], ARGV[1])`, []string{"a"}, "3").Int()
	if n != 1 || err != nil {
		t.Errorf("script: %d, %v", n, err)
	}
	l.Expect(t, "a", "3")
	if err := c.Client().Eval(ctx, `return redis.call("SUBSCRIBE", "a")`, nil).Err(); err == nil {
		t.Error("a script subscribed")
	}
}

func TestEmbeddedServesPushesOfRESP3(t *testing.T) {
	e := embedded(t, "p")
	client := redis.NewClient(&redis.Options{Addr: e.Addr(), Password: "p", Protocol: 3, DisableIdentity: true})
	defer client.Close()
	ps := client.Subscribe(t.Context(), "a")
	defer ps.Close()
	if err := ps.PSubscribe(t.Context(), "p*"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"subscribe: a", "psubscribe: p*"} {
		got, err := ps.Receive(t.Context())
		if err != nil || got.(*redis.Subscription).String() != want {
			t.Fatalf("%v, %v", got, err)
		}
	}
	for _, channel := range []string{"a", "p1", "a", "p2"} {
		if n, err := client.Publish(t.Context(), channel, "m").Result(); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if m, err := ps.ReceiveMessage(t.Context()); err != nil || m.Channel != channel {
			t.Fatalf("%v, %v", m, err)
		}
	}
	if err := ps.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := ps.Receive(t.Context())
	if _, pong := got.(*redis.Pong); !pong {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestEmbeddedEndsWhileACommandBlocks(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e, err := Serve(ctx, "", "p")
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, e.Addr())
	c.send(t, "AUTH", "p")
	c.send(t, "BLPOP", "nothing", "0")
	if got := c.line(t); got != "+OK" { // it does not wait for the next reply
		t.Errorf("got %q", got)
	}
	cancel()
	e.Wait()
}

// raw is a connection on which a test speaks RESP itself.
type raw struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *raw {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{c, bufio.NewReader(c)}
}

func (r *raw) send(t testing.TB, args ...string) {
	t.Helper()
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		b = appendBulk(b, arg)
	}
	if _, err := r.Write(b); err != nil {
		t.Fatal(err)
	}
}

func (r *raw) line(t testing.TB) string {
	t.Helper()
	line, err := r.r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// BenchmarkPubSub compares the embedded Redis with what it would be without a pub/sub of its own,
// and with a real one. There is one publisher and one subscriber; a turn is over when its messages
// have arrived.
func BenchmarkPubSub(b *testing.B) {
	servers := []struct {
		name  string
		serve func(testing.TB) string
	}{
		{"embedded", func(t testing.TB) string { return embedded(t, "").URL() }},
		{"miniredis", func(t testing.TB) string { return "redis://" + testkit.MiniRedis(t).Addr() }},
		{"redis-server", func(t testing.TB) string { return testkit.StartRedis(t).URL() }},
	}
	for _, server := range servers {
		for _, burst := range []int{1, 100} {
			b.Run(fmt.Sprintf("server=%s/burst=%d", server.name, burst), func(b *testing.B) {
				c := open(b, redisconn.Config{URL: server.serve(b)})
				heard := make(chan struct{}, burst)
				s := c.Subscribe(redisconn.SubConfig{Channels: []string{"a"}, OnMessage: func(string, []byte) bool { heard <- struct{}{}; return false }})
				testkit.Run(b, s.Run)
				if err := s.Wait(context.Background()); err != nil {
					b.Fatal(err)
				}
				payload := make([]byte, 128)
				b.ResetTimer()
				for sent := 0; sent < b.N; sent += burst {
					pipe := c.Client().Pipeline()
					for range burst {
						pipe.Publish(context.Background(), "a", payload)
					}
					if _, err := pipe.Exec(context.Background()); err != nil {
						b.Fatal(err)
					}
					for range burst {
						<-heard
					}
				}
			})
		}
	}
}
