package adapter

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// onReal is two servers on a real Redis that know each other; the second has a socket, and tells of its gaps.
func onReal(t *testing.T, url string, l cluster.Local) (sender, receiver *server, a cluster.Adapter, gaps chan Gap) {
	t.Helper()
	sender, adapters := start(t, Config{URL: url}, newFakeLocal("/"))
	gaps = make(chan Gap, 100)
	r, err := NewRedis(Config{URL: url, OnGap: func(g Gap) { gaps <- g }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(l); err != nil {
		t.Fatal(err)
	}
	receiver = run(t, r)
	if err := r.Wait(background(t)); err != nil {
		t.Fatal(err)
	}
	link(t, sender, receiver)
	return sender, receiver, adapters[0], gaps
}

func TestACutConnectionIsAGap(t *testing.T) {
	redis := testkit.StartRedis(t)
	l := newFakeLocal("/", &fakeSocket{id: "s", name: "s"})
	sender, receiver, a, gaps := onReal(t, redis.URL(), l)
	redis.Do("CLIENT", "KILL", "TYPE", "pubsub")
	if g := testkit.Receive(t, "a gap", gaps); g.To.Before(g.From) || g.Rooms != 0 {
		t.Errorf("%+v", g)
	}
	if n := counter(t, receiver.metrics.gaps); n != 1 {
		t.Errorf("%v gaps were counted", n)
	}
	testkit.Until(t, "the sender to find Redis", sender.Up)
	emit(t, a, 1, cluster.Flags{})
	wait(t, l, 1)
}

// stuck is a namespace that takes its time for the first broadcast.
type stuck struct {
	*fakeLocal
	once    sync.Once
	busy    chan struct{} // closed by the first
	release chan struct{}
}

func (l *stuck) Deliver(b *cluster.Broadcast) {
	l.once.Do(func() {
		close(l.busy)
		<-l.release
	})
	l.fakeLocal.Deliver(b)
}

// TestASlowReaderIsCutOff has Redis lose patience with a server, as its client-output-buffer-limit says.
func TestASlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t, "--client-output-buffer-limit", "pubsub 1mb 1mb 1")
	l := &stuck{fakeLocal: newFakeLocal("/", &fakeSocket{id: "s", name: "s"}), busy: make(chan struct{}), release: make(chan struct{})}
	sender, receiver, a, gaps := onReal(t, redis.URL(), l)
	big := text(`"ev"`, `"`+strings.Repeat("x", 100<<10)+`"`)
	if err := a.Broadcast(&cluster.Broadcast{Data: big}); err != nil {
		t.Fatal(err)
	}
	testkit.Closed(t, "the reader to be busy", l.busy)
	subscribers := func() int64 { return redis.Do("PUBSUB", "NUMSUB", receiver.peers.channel).([]any)[1].(int64) }
	testkit.Until(t, "Redis to cut the reader off", func() bool {
		if err := a.Broadcast(&cluster.Broadcast{Data: big}); err != nil {
			t.Fatal(err)
		}
		return subscribers() == 1
	})
	close(l.release)
	testkit.Receive(t, "a gap", gaps)
	testkit.Until(t, "both servers to subscribe again", func() bool { return receiver.Up() && sender.Up() && subscribers() == 2 })
	l.take()
	testkit.Until(t, "the server to hear again", func() bool {
		emit(t, a, 7, cluster.Flags{})
		for _, g := range l.take() {
			if string(g.payload.JSON) == `["ev",7]` {
				return true
			}
		}
		return false
	})
}

// TestAFrozenRedisThatGoesOn carries out itself what it was told before: nothing arrives twice, and the rest in order.
func TestAFrozenRedisThatGoesOn(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	l := newFakeLocal("/", &fakeSocket{id: "s", name: "s"})
	sender, _, a, _ := onReal(t, redis.URL(), l)
	redis.Stop()
	const n = 100
	for i := range n {
		emit(t, a, i, cluster.Flags{})
	}
	testkit.Until(t, "the sender to notice the outage", func() bool { return !sender.up.Load() })
	if _, err := a.FetchSockets(background(t), cluster.Target{}); !errors.Is(err, ErrAway) {
		t.Errorf("a request while Redis is frozen: %v", err)
	}
	emit(t, a, n, cluster.Flags{})
	redis.Cont()
	last := -1
	for last < n {
		for _, g := range wait(t, l, 1) {
			var i int
			if _, err := fmt.Sscanf(string(g.payload.JSON), `["ev",%d]`, &i); err != nil || i <= last {
				t.Fatalf("%s after %d, %v", g.payload.JSON, last, err)
			}
			last = i
		}
	}
}

// TestAFrozenMasterIsReplaced: what the new one was never told is said again, so that all arrives, in order.
func TestAFrozenMasterIsReplaced(t *testing.T) {
	t.Parallel()
	s := testkit.StartSentinel(t)
	l := newFakeLocal("/", &fakeSocket{id: "s", name: "s"})
	_, receiver, a, gaps := onReal(t, s.URL(), l)
	emit(t, a, 0, cluster.Flags{})
	told := wait(t, l, 1)
	s.First.Stop()
	const n = 100
	for i := 1; i < n; i++ {
		emit(t, a, i, cluster.Flags{})
	}
	s.Promoted(s.Second)
	testkit.Receive(t, "a gap", gaps)
	for i, g := range append(told, wait(t, l, n-1)...) {
		if want := fmt.Sprintf(`["ev",%d]`, i); string(g.payload.JSON) != want {
			t.Fatalf("%s came, want %s", g.payload.JSON, want)
		}
	}
	testkit.Until(t, "the receiver to find Redis", receiver.Up)
	if found, err := a.FetchSockets(background(t), cluster.Target{}); len(found) != 1 || err != nil {
		t.Errorf("%d sockets, %v", len(found), err)
	}
}
