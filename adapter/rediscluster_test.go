package adapter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/classic"
	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// rooms are names whose channels are on all nodes of a cluster.
func rooms(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("room", i))
	}
	return names
}

// hears emits to each room until its message arrives: what was said while a subscription moved may
// be missed.
func hears(t *testing.T, a cluster.Adapter, l *linktest.Local, rooms ...string) {
	t.Helper()
	for _, room := range rooms {
		b := &cluster.Broadcast{Target: cluster.Target{Rooms: []string{room}}, Data: linktest.Text(`"ev"`, `"`+room+`"`)}
		testkit.Until(t, room+" to hear", func() bool {
			if err := a.Broadcast(b); err != nil {
				t.Fatal(err)
			}
			for _, g := range l.Take() {
				if string(g.Payload.JSON) == `["ev","`+room+`"]` {
					return true
				}
			}
			return false
		})
	}
}

func startSharded(t *testing.T, url string, l *linktest.Local) (*server, []cluster.Adapter) {
	t.Helper()
	s, adapters := start(t, Config{Redis: at(url), Form: Sharded{}}, l)
	testkit.Until(t, "the server to hear its rooms", s.settled)
	return s, adapters
}

// TestShardedFollowsTheNodesOfACluster has rooms on all nodes, whose slots move and whose nodes
// die.
func TestShardedFollowsTheNodesOfACluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	names := rooms(30)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: names})
	receiver, _ := startSharded(t, c.URL(), l)
	sender, adapters := startSharded(t, c.URL(), linktest.NewLocal("/"))
	linktest.Meet(t, sender, receiver)
	a := adapters[0]
	for _, room := range names {
		if err := a.Broadcast(&cluster.Broadcast{Target: cluster.Target{Rooms: []string{room}}, Data: linktest.Text(`"ev"`)}); err != nil {
			t.Fatal(err)
		}
	}
	linktest.Wait(t, l, len(names))
	if n, err := a.ServerCount(linktest.Background(t)); n != 2 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}

	// The slot of a room moves, then that of the namespace itself.
	const main = "socket.io#/#"
	for _, channel := range []string{main + "room7#", main} {
		c.Move(channel, c.Other(c.Owner(channel)))
		hears(t, a, l, "room7")
		testkit.Until(t, "the receiver to find Redis", receiver.Up)
		testkit.Until(t, "the sender to find Redis", sender.Up)
	}
	if n := receiver.gaps(t); n < 2 {
		t.Errorf("%v gaps were counted", n)
	}

	// A node dies. Nothing that is said meanwhile is lost at the sender, and all is as before under
	// its replica.
	dead := c.Owner(main)
	dead.Kill()
	testkit.Until(t, "the sender to notice the outage", func() bool { return !sender.Up() })
	for i := range 100 {
		linktest.Emit(t, a, i, cluster.Flags{})
	}
	c.Promote(dead)
	testkit.Until(t, "the receiver to hear its rooms", receiver.settled)
	hears(t, a, l, names...)
	testkit.Until(t, "two servers to be counted", func() bool { n, err := a.ServerCount(linktest.Background(t)); return n == 2 && err == nil })
	if found, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{}); len(found) != 1 || err != nil {
		t.Errorf("%d sockets, %v", len(found), err)
	}
}

// TestClassicOutlivesANodeOfACluster: any node will do, so that one that dies costs nothing but
// what is under way.
func TestClassicOutlivesANodeOfACluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"room"}})
	receiver, _ := start(t, on(c.URL()), l)
	sender, adapters := start(t, on(c.URL()), linktest.NewLocal("/"))
	linktest.Meet(t, sender, receiver)
	promoted := make(map[int]bool)
	for _, s := range []*server{receiver, sender} {
		node, err := s.form.(*classic.Form).Conn.AnyNode(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		hears(t, adapters[0], l, "room")
		i := slices.IndexFunc(c.Nodes, func(r *testkit.Redis) bool { return r.Addr() == node.Options().Addr })
		c.Nodes[i].Kill() // again, perhaps
		hears(t, adapters[0], l, "room")
		testkit.Until(t, "the socket of the other server to be found", func() bool {
			found, err := linktest.Fetch(linktest.Background(t), adapters[0], cluster.Target{})
			return len(found) == 1 && err == nil
		})
		if !promoted[i] {
			c.Promote(c.Nodes[i])
		}
		promoted[i] = true
	}
}

// TestLeastRightsOnACluster has a user with the rights that docs/adapters.md names, and no other.
func TestLeastRightsOnACluster(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	for row, form := range everyForm {
		t.Run(row, func(t *testing.T) {
			for _, r := range c.Nodes {
				setUser(r, append(documented(t, row), "+cluster|slots"))
			}
			url := strings.Replace(c.URL(), "://", "://bob:pass@", 1)
			cfg := on(url)
			cfg.Form = form
			for _, m := range check(t, cfg, Needs{Recovery: strings.Contains(row, "RECOVERY")}) {
				t.Error(m)
			}
			l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"a", "b", "c", "d"}})
			receiver, _ := start(t, cfg, l)
			sender, adapters := start(t, cfg, linktest.NewLocal("/"))
			linktest.Meet(t, sender, receiver)
			hears(t, adapters[0], l, "a", "b", "c", "d")
			if found, err := linktest.Fetch(linktest.Background(t), adapters[0], cluster.Target{}); len(found) != 1 || err != nil {
				t.Errorf("%d sockets, %v", len(found), err)
			}
		})
	}
}

// untold is a form that one node of a cluster does not tell who is subscribed there.
type untold struct {
	link.Form
	by atomic.Pointer[string] // the node's address
}

func (u *untold) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	if by := u.by.Load(); by != nil && node.Options().Addr == *by {
		return nil, context.DeadlineExceeded
	}
	return u.Form.NumSub(ctx, node, channels)
}

// TestNodeThatDoesNotCount: a peer that beats is asked, and waited for, though the node that has
// its subscriptions does not say so.
func TestNodeThatDoesNotCount(t *testing.T) {
	t.Parallel()
	c := testkit.StartCluster(t)
	there, _ := start(t, on(c.URL()), linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"}))
	u := &untold{}
	cfg := on(c.URL())
	cfg.wrap = func(f link.Form) link.Form { u.Form = f; return u }
	asking, adapters := start(t, cfg, linktest.NewLocal("/"))
	linktest.Meet(t, asking, there)
	for _, node := range c.Nodes {
		addr := node.Addr()
		u.by.Store(&addr)
		if found, err := linktest.Fetch(linktest.Background(t), adapters[0], cluster.Target{}); len(found) != 1 || err != nil {
			t.Errorf("without the word of %s: %d sockets, %v", addr, len(found), err)
		}
	}
}
