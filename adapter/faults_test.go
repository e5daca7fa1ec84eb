package adapter

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// onReal is two servers on a real Redis that know each other; the second has a socket, and tells of
// its gaps.
func onReal[L cluster.Local](t *testing.T, url string, l L) (sender, receiver *server, a cluster.Adapter, gaps chan Gap) {
	t.Helper()
	sender, adapters := start(t, on(url), linktest.NewLocal("/"))
	gaps = make(chan Gap, 100)
	receiver, _ = start(t, Config{Redis: at(url), OnGap: func(g Gap) { gaps <- g }}, l)
	linktest.Meet(t, sender, receiver)
	return sender, receiver, adapters[0], gaps
}

func TestACutConnectionIsAGap(t *testing.T) {
	redis := testkit.StartRedis(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	sender, receiver, a, gaps := onReal(t, redis.URL(), l)
	redis.Do("CLIENT", "KILL", "TYPE", "pubsub")
	if g := testkit.Receive(t, "a gap", gaps); g.To.Before(g.From) || g.Rooms != 0 {
		t.Errorf("%+v", g)
	}
	if n := receiver.gaps(t); n != 1 {
		t.Errorf("%v gaps were counted", n)
	}
	testkit.Until(t, "the sender to find Redis", sender.Up)
	linktest.Emit(t, a, 1, cluster.Flags{})
	linktest.Wait(t, l, 1)
}

// stuck is a namespace that takes its time for the first broadcast.
type stuck struct {
	*linktest.Local
	once    sync.Once
	busy    chan struct{} // closed by the first
	release chan struct{}
}

func (l *stuck) Deliver(b *cluster.Broadcast) {
	l.once.Do(func() {
		close(l.busy)
		<-l.release
	})
	l.Local.Deliver(b)
}

// TestASlowReaderIsCutOff has Redis lose patience with a server, as its client-output-buffer-limit
// says.
func TestASlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t, "--client-output-buffer-limit", "pubsub 1mb 1mb 1")
	l := &stuck{Local: linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"}), busy: make(chan struct{}), release: make(chan struct{})}
	sender, receiver, a, gaps := onReal(t, redis.URL(), l)
	big := linktest.Text(`"ev"`, `"`+strings.Repeat("x", 100<<10)+`"`)
	if err := a.Broadcast(&cluster.Broadcast{Data: big}); err != nil {
		t.Fatal(err)
	}
	testkit.Closed(t, "the reader to be busy", l.busy)
	subscribers := func() int64 { return redis.Do("PUBSUB", "NUMSUB", link.PeersChannel(DefaultKey)).([]any)[1].(int64) }
	testkit.Until(t, "Redis to cut the reader off", func() bool {
		if err := a.Broadcast(&cluster.Broadcast{Data: big}); err != nil {
			t.Fatal(err)
		}
		return subscribers() == 1
	})
	close(l.release)
	testkit.Receive(t, "a gap", gaps)
	testkit.Until(t, "both servers to subscribe again", func() bool { return receiver.Up() && sender.Up() && subscribers() == 2 })
	l.Take()
	testkit.Until(t, "the server to hear again", func() bool {
		linktest.Emit(t, a, 7, cluster.Flags{})
		for _, g := range l.Take() {
			if string(g.Payload.JSON) == `["ev",7]` {
				return true
			}
		}
		return false
	})
}

// TestAFrozenRedisThatGoesOn carries out itself what it was told before: nothing arrives twice, and
// the rest in order.
func TestAFrozenRedisThatGoesOn(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	sender, _, a, _ := onReal(t, redis.URL(), l)
	redis.Stop()
	const n = 100
	for i := range n {
		linktest.Emit(t, a, i, cluster.Flags{})
	}
	testkit.Until(t, "the sender to notice the outage", func() bool { return !sender.Up() })
	if _, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{}); !errors.Is(err, ErrAway) {
		t.Errorf("a request while Redis is frozen: %v", err)
	}
	linktest.Emit(t, a, n, cluster.Flags{})
	redis.Cont()
	last := -1
	for last < n {
		for _, g := range linktest.Wait(t, l, 1) {
			var i int
			if _, err := fmt.Sscanf(string(g.Payload.JSON), `["ev",%d]`, &i); err != nil || i <= last {
				t.Fatalf("%s after %d, %v", g.Payload.JSON, last, err)
			}
			last = i
		}
	}
}

// TestAFrozenMasterIsReplaced: what the new one was never told is said again, so that all arrives,
// in order.
func TestAFrozenMasterIsReplaced(t *testing.T) {
	t.Parallel()
	s := testkit.StartSentinel(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	_, receiver, a, gaps := onReal(t, s.URL(), l)
	linktest.Emit(t, a, 0, cluster.Flags{})
	told := linktest.Wait(t, l, 1)
	s.First.Stop()
	const n = 100
	for i := 1; i < n; i++ {
		linktest.Emit(t, a, i, cluster.Flags{})
	}
	s.Promoted(s.Second)
	testkit.Receive(t, "a gap", gaps)
	for i, g := range append(told, linktest.Wait(t, l, n-1)...) {
		if want := fmt.Sprintf(`["ev",%d]`, i); string(g.Payload.JSON) != want {
			t.Fatalf("%s came, want %s", g.Payload.JSON, want)
		}
	}
	testkit.Until(t, "the receiver to find Redis", receiver.Up)
	if found, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{}); len(found) != 1 || err != nil {
		t.Errorf("%d sockets, %v", len(found), err)
	}
}
