package redisconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// listener runs a Subscription and keeps what it reports.
type listener struct {
	*Subscription
	*testkit.Heard
}

func listen(t *testing.T, c *Conn, cfg SubConfig) *listener {
	t.Helper()
	h := testkit.NewHeard()
	cfg.OnMessage, cfg.OnUp, cfg.OnDown = h.OnMessage, h.OnUp, h.OnDown
	l := &listener{c.Subscribe(cfg), h}
	testkit.Run(t, l.Run)
	return l
}

func wait(t *testing.T, s interface{ Wait(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptionHearsChannelsAndPatterns(t *testing.T) {
	m := testkit.MiniRedis(t)
	l := listen(t, open(t, Config{URL: "redis://" + m.Addr()}), SubConfig{Channels: []string{"a"}, Patterns: []string{"p*"}})
	wait(t, l)
	m.Publish("a", "1")
	l.Expect(t, "a", "1")
	m.Publish("px", "\x00\xff")
	l.Expect(t, "px", "\x00\xff")

	l.Add("b")
	l.AddPatterns("q*")
	l.Remove("a")
	l.RemovePatterns("p*")
	wait(t, l)
	testkit.Await(t, "unsubscribed", l.changes, func() bool { return len(l.activeNames()) == 2 })
	if n := m.Publish("a", "nobody") + m.Publish("px", "nobody"); n != 0 {
		t.Errorf("%d subscribers of what was removed", n)
	}
	m.Publish("b", "2")
	l.Expect(t, "b", "2")
	m.Publish("q", "3")
	l.Expect(t, "q", "3")
}

func (s *Subscription) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *Subscription) activeNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for t := range s.active {
		names = append(names, t.name)
	}
	slices.Sort(names)
	return names
}

func TestSubscriptionWithNothingWantedComesUp(t *testing.T) {
	m := testkit.MiniRedis(t)
	l := listen(t, open(t, Config{URL: "redis://" + m.Addr()}), SubConfig{})
	testkit.Receive(t, "up", l.Ups)
	l.Add("late")
	wait(t, l)
	m.Publish("late", "x")
	l.Expect(t, "late", "x")
}

func TestSubscriptionSurvivesKillAndRestart(t *testing.T) {
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	l := listen(t, c, SubConfig{Channels: []string{"a"}, Patterns: []string{"p*"}})
	testkit.Receive(t, "up", l.Ups)
	for i := range 3 {
		r.Kill()
		testkit.Receive(t, "down", l.Downs)
		l.Add("added" + strconv.Itoa(i))
		r.Restart()
		testkit.Receive(t, "up again", l.Ups)
		for _, channel := range []string{"a", "p1", "added" + strconv.Itoa(i)} {
			if err := c.Client().Publish(context.Background(), channel, i).Err(); err != nil {
				t.Fatal(err)
			}
			l.Expect(t, channel, strconv.Itoa(i))
		}
	}
}

func TestSubscriptionNoticesAStoppedRedis(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	l := listen(t, open(t, Config{URL: r.URL()}), SubConfig{Channels: []string{"a"}, Silence: 100 * time.Millisecond})
	testkit.Receive(t, "up", l.Ups)
	r.Stop()
	testkit.Receive(t, "down", l.Downs)
	r.Cont()
	testkit.Receive(t, "up again", l.Ups)
}

// TestSilenceIsNoLoss: a Redis that was frozen goes on over the same connection, so nothing was
// missed and OnResumed is called. After a lost connection OnUp is called, since messages may be
// missing.
func TestSilenceIsNoLoss(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	resumed := make(chan struct{}, 64)
	l := listen(t, c, SubConfig{Channels: []string{"a"}, Silence: 100 * time.Millisecond, OnResumed: func() { resumed <- struct{}{} }})
	testkit.Receive(t, "up", l.Ups)
	for i := range 3 {
		r.Stop()
		testkit.Receive(t, "down", l.Downs)
		published := make(chan error, 1)
		go func() { published <- c.Client().Publish(t.Context(), "a", i).Err() }()
		r.Cont()
		testkit.Receive(t, "resumed", resumed)
		if err := testkit.Receive(t, "PUBLISH", published); err != nil {
			t.Fatal(err)
		}
		l.Expect(t, "a", strconv.Itoa(i))
	}
	if len(l.Ups) != 0 {
		t.Error("OnUp was called though no connection was lost")
	}
	r.Stop()
	testkit.Receive(t, "down", l.Downs)
	r.Kill()
	r.Restart()
	testkit.Receive(t, "up after a lost connection", l.Ups)
	if len(resumed) != 0 {
		t.Error("OnResumed was called though the connection was lost")
	}
}

func TestSilentRedisThatAnswersStaysUp(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	l := listen(t, c, SubConfig{Channels: []string{"a"}, Silence: 5 * time.Millisecond})
	testkit.Receive(t, "up", l.Ups)
	l.mu.Lock()
	heard := &l.links[home].heard
	l.mu.Unlock()
	for probes := range 2 { // each pong moves the time at which Redis was last heard
		before := heard.Load()
		for heard.Load() == before {
			if err := c.Check(context.Background()); err != nil {
				t.Fatalf("after %d probes: %v", probes, err)
			}
		}
	}
	if len(l.Downs) != 0 {
		t.Error("a Redis that answers was called lost")
	}
}

func TestBurstArrivesWholeAndInOrder(t *testing.T) {
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	l := listen(t, c, SubConfig{Channels: []string{"a"}})
	testkit.Receive(t, "up", l.Ups)
	const count = 20_000
	pipe := c.Client().Pipeline()
	for i := range count {
		pipe.Publish(context.Background(), "a", i)
	}
	if _, err := pipe.Exec(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		l.Expect(t, "a", strconv.Itoa(i))
	}
}

func TestManyChannelsAtOnce(t *testing.T) {
	m := testkit.MiniRedis(t)
	names := make([]string, 3*namesAtOnce+1)
	for i := range names {
		names[i] = fmt.Sprintf("c%d", i)
	}
	l := listen(t, open(t, Config{URL: "redis://" + m.Addr()}), SubConfig{Channels: names})
	wait(t, l)
	m.Publish(names[len(names)-1], "last")
	l.Expect(t, names[len(names)-1], "last")
}

func BenchmarkReceive(b *testing.B) {
	r := testkit.StartRedis(b)
	c := open(b, Config{URL: r.URL()})
	got := make(chan struct{}, 1)
	n := 0
	s := c.Subscribe(SubConfig{Channels: []string{"a"}, OnMessage: func(string, []byte) bool {
		if n++; n == b.N {
			n = 0
			got <- struct{}{}
		}
		return false
	}})
	testkit.Run(b, s.Run)
	if err := s.Wait(context.Background()); err != nil {
		b.Fatal(err)
	}
	payload := make([]byte, 128)
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		pipe := c.Client().Pipeline()
		for range min(b.N-sent, 1000) {
			pipe.Publish(context.Background(), "a", payload)
			sent++
		}
		if _, err := pipe.Exec(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	<-got
}

func TestWaitEndsAtAMissingRight(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	admin := open(t, Config{URL: r.URL()}).Client()
	if err := admin.Do(ctx, "ACL", "SETUSER", "deaf", "on", ">p", "+@all", "~*", "resetchannels").Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{URL: r.URL(), Username: "deaf", Password: "p"}).Subscribe(SubConfig{Name: "test", Channels: []string{"c"}, OnMessage: func(string, []byte) bool { return false }})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if err := s.Wait(ctx); !errors.Is(err, ErrRights) || !strings.Contains(err.Error(), "channel") {
		t.Errorf("got %v, want ErrRights that says what", err)
	}
	if err := admin.Do(ctx, "ACL", "SETUSER", "deaf", "allchannels").Err(); err != nil {
		t.Fatal(err)
	}
	changed := func() <-chan struct{} {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.changed
	}
	testkit.Await(t, "Run goes on trying", changed, s.Up)
	if err := s.Wait(ctx); err != nil {
		t.Errorf("with the right at last: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSubscriptionHearsShardChannels(t *testing.T) {
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	l := listen(t, c, SubConfig{Channels: []string{"plain"}})
	l.AddShards("s1")
	wait(t, l)
	publish := func(channel, payload string) {
		t.Helper()
		if err := c.Client().SPublish(t.Context(), channel, payload).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish("s1", "1")
	l.Expect(t, "s1", "1")
	l.AddShardsLoosely("s2", "s3")
	testkit.Await(t, "subscribed", l.changes, func() bool { return len(l.activeNames()) == 4 })
	l.RemoveLooseShards("s2")
	testkit.Await(t, "unsubscribed", l.changes, func() bool { return len(l.activeNames()) == 3 })
	publish("s2", "nobody")
	publish("s3", "3")
	l.Expect(t, "s3", "3")

	r.Kill()
	testkit.Receive(t, "down", l.Downs)
	r.Restart()
	testkit.Receive(t, "first up", l.Ups)
	testkit.Receive(t, "up again", l.Ups)
	publish("s3", "4") // what was wanted loosely is heard from OnUp on, too
	l.Expect(t, "s3", "4")
}
