package redisconn

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// say publishes on a shard channel as whoever follows the cluster does, until it is heard by
// somebody.
func say(t *testing.T, c *Conn, channel, payload string) {
	t.Helper()
	testkit.Until(t, payload+" to be heard on "+channel, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		node, err := c.Node(ctx, channel)
		if err != nil {
			return false
		}
		n, err := node.SPublish(ctx, channel, payload).Result()
		c.Follow(ctx, node, err)
		return n > 0 && err == nil
	})
}

func TestClusterSubscription(t *testing.T) {
	cluster := testkit.StartCluster(t)
	c := open(t, Config{URL: cluster.URL()})
	moved := make(chan int, 64)
	l := listen(t, c, SubConfig{Channels: []string{"a"}, Patterns: []string{"p*"}, OnMoved: func(n int) { moved <- n }})
	testkit.Receive(t, "up", l.Ups)

	var shards []string
	for i := range 100 { // on every node
		shards = append(shards, fmt.Sprint("s", i))
	}
	l.AddShards(shards...)
	l.AddShardsLoosely("loose")
	testkit.Await(t, "all confirmed", l.changes, l.Settled)
	for _, name := range shards {
		say(t, c, name, name)
		l.Expect(t, name, name)
	}
	other, err := c.AnyNode(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if other, err = c.AnyNode(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if err := other.Publish(t.Context(), "p1", "from another node").Err(); err != nil {
		t.Fatal(err)
	}
	l.Expect(t, "p1", "from another node")

	// A slot that moves takes its channels along.
	cluster.Move("loose", cluster.Other(cluster.Owner("loose")))
	if n := testkit.Receive(t, "a moved channel", moved); n != 1 {
		t.Errorf("%d channels moved", n)
	}
	testkit.Await(t, "all confirmed again", l.changes, l.Settled)
	say(t, c, "loose", "moved")
	l.Expect(t, "loose", "moved")
	cluster.Move("s1", cluster.Other(cluster.Owner("s1")))
	testkit.Receive(t, "down", l.Downs)
	testkit.Receive(t, "up again", l.Ups)
	say(t, c, "s1", "moved too")
	l.Expect(t, "s1", "moved too")

	// And so does a node that dies, in favour of its replica.
	master := cluster.Owner("s2")
	master.Kill()
	testkit.Receive(t, "down", l.Downs)
	l.AddShards("late")
	cluster.Promote(master)
	testkit.Receive(t, "up again", l.Ups)
	testkit.Await(t, "all confirmed after the failover", l.changes, l.Settled)
	for _, name := range append(shards, "late", "loose") {
		say(t, c, name, name)
		l.Expect(t, name, name)
	}
	l.RemoveShards(shards...)
	testkit.Await(t, "removed", l.changes, l.Settled)
	if n := len(l.activeNames()); n != 4 {
		t.Errorf("%d topics are left, want a, p*, late and loose", n)
	}
}

func TestClusterCheck(t *testing.T) {
	cluster := testkit.StartCluster(t)
	c := open(t, Config{URL: cluster.URL()})
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range cluster.Nodes[3:] {
		r.Stop()
	}
	cluster.Nodes[0].Stop()
	if err := c.Check(t.Context()); err != nil {
		t.Errorf("with most nodes frozen: %v", err)
	}
	if _, err := c.Nodes(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, Config{URL: cluster.URL(), Password: "wrong", Username: "nobody"}).Check(t.Context()); !errors.Is(err, ErrAuth) {
		t.Errorf("wrong password: %v", err)
	}
	for _, r := range cluster.Nodes {
		r.Kill()
	}
	if err := c.Check(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("all dead: %v", err)
	}
}

func TestReachable(t *testing.T) {
	for _, c := range [][3]string{
		{"10.0.0.1:7000", "redis:7001", "10.0.0.1:7000"},
		{":7000", "redis:7001", "redis:7000"},
		{"?:7000", "10.0.0.2:7001", "10.0.0.2:7000"},
		{"127.0.0.1:7000", "redis:7001", "redis:7000"},
		{"127.0.0.1:7000", "127.0.0.1:7001", "127.0.0.1:7000"},
		{"127.0.0.1:7000", "localhost:7001", "127.0.0.1:7000"},
		{"[fd00::1]:7000", "[fd00::2]:7001", "[fd00::1]:7000"},
	} {
		if got := reachable(c[0], c[1]); got != c[2] {
			t.Errorf("%s told by %s: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

func TestSubscriptionOfAnOldRedis(t *testing.T) {
	m := testkit.MiniRedis(t) // it has no sharded pub/sub
	s := open(t, Config{URL: "redis://" + m.Addr()}).Subscribe(SubConfig{OnMessage: func(string, []byte) bool { return false }})
	s.AddShards("a")
	testkit.Run(t, s.Run)
	if err := s.Wait(t.Context()); !errors.Is(err, ErrNoShards) {
		t.Error(err)
	}
}

func TestClusterMapReadsAndFollows(t *testing.T) {
	a := newClusterMap([]string{"127.0.0.1:1"}, func(addr string) *redis.Client { return redis.NewClient(&redis.Options{Addr: addr}) })
	defer a.close()
	a.learn([]redis.ClusterSlot{
		{Start: 100, End: 199, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:3"}, {Addr: "127.0.0.1:4"}}},
		{Start: 0, End: 99, Nodes: []redis.ClusterNode{{Addr: "127.0.0.1:2"}}},
	}, "127.0.0.1:1")
	owner := func(slot uint16) string {
		addr, _, _ := a.owner(slot)
		return addr
	}
	if owner(0) != "127.0.0.1:2" || owner(99) != "127.0.0.1:2" || owner(100) != "127.0.0.1:3" || owner(200) != "" {
		t.Errorf("owners %q, %q, %q, %q", owner(0), owner(99), owner(100), owner(200))
	}
	if slot, ok := a.follow(errors.New("MOVED 99 127.0.0.1:9"), "127.0.0.1:2"); !ok || slot != 99 || owner(99) != "127.0.0.1:9" {
		t.Errorf("after MOVED: %q", owner(99))
	}
	for _, not := range []string{"ERR no", "MOVED", "MOVED x y:1", "MOVED 99999 127.0.0.1:9", "MOVED 5"} {
		if _, ok := a.follow(errors.New(not), "127.0.0.1:2"); ok {
			t.Errorf("%q was followed", not)
		}
	}
}
