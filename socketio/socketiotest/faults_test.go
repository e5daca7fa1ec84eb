package socketiotest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// rooms is an app with rooms, whose servers note who has left.
type rooms struct {
	mu   sync.Mutex
	left []string
}

func (d *rooms) gone() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.left)
}

func (d *rooms) setup(_ context.Context, io *socketio.Server) error {
	io.On("join", func(s *socketio.Socket, room string) bool { s.Join(room); return true })
	io.On("say", func(s *socketio.Socket, room, text string) error { return s.To(room).Emit("said", text) })
	io.On("typing", func(s *socketio.Socket, n int) error {
		for i := range n {
			if err := s.Broadcast().Volatile().Emit("typing", i); err != nil {
				return err
			}
		}
		return nil
	})
	io.On("count", func(ctx context.Context) (int, error) { return io.ServerCount(ctx) })
	io.On("who", func(ctx context.Context) (int, error) {
		sockets, err := io.FetchSockets(ctx)
		if missing, ok := errors.AsType[*cluster.MissingError](err); ok {
			return 0, &socketio.Error{Message: "missing", Data: missing.Expected - missing.Answered}
		}
		if errors.Is(err, adapter.ErrAway) {
			return 0, socketio.NewError("away")
		}
		return len(sockets), err
	})
	io.OnDisconnect(func(s *socketio.Socket, reason string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.left = append(d.left, reason)
	})
	return nil
}

// onTwo runs a test with it on two servers with recovery, and a client of each in a room.
func onTwo(t *testing.T, recovery *socketio.Recovery, test func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := new(rooms)
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{Recovery: recovery}, d.setup)
		ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
		ada.Call("join", "lobby")
		bob.Call("join", "lobby")
		test(t, d, servers, ada, bob)
	})
}

func TestKillAndRecoverOnAnotherServer(t *testing.T) {
	onTwo(t, &socketio.Recovery{}, func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client) {
		id := ada.ID()
		bob.Emit("say", "lobby", "seen")
		ada.Want("said", "seen")
		start := time.Now()
		servers[0].Kill()
		ada.WantDisconnect(client.ReasonTransportClose)
		bob.Emit("say", "lobby", "missed")
		ada.Emit("say", "lobby", "kept")
		ada.WantRecovered()
		if took := time.Since(start); took != time.Second {
			t.Errorf("came back after %v", took)
		}
		if ada.ID() != id {
			t.Errorf("is %s, was %s", ada.ID(), id)
		}
		ada.Want("said", "missed")
		bob.Want("said", "kept")
		bob.Emit("say", "lobby", "live")
		ada.Want("said", "live")
		ada.WantNothing()
		if left := d.gone(); len(left) > 0 {
			t.Errorf("a killed server noticed %q", left)
		}
		// The others notice after a while.
		if e := bob.Fails("who"); e.Message != "missing" || e.Data.String() != "1" {
			t.Errorf("asked a killed server: %v %v", e, e.Data)
		}
		time.Sleep(2 * time.Second)
		if n := socketiotest.Call[int](bob, "who"); n != 2 {
			t.Errorf("%d sockets", n)
		}
	})
}

func TestStopAndRestart(t *testing.T) {
	onTwo(t, &socketio.Recovery{}, func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client) {
		servers[0].Stop()
		ada.WantRecovered()
		if left := d.gone(); len(left) != 1 {
			t.Errorf("a stopped server noticed %q", left)
		}
		servers[0].Restart()
		eve := servers[0].Connect("/", nil)
		if n := socketiotest.Call[int](eve, "count"); n != 2 {
			t.Errorf("%d servers", n)
		}
		servers[1].Kill()
		ada.WantRecovered()
		bob.WantRecovered()
		ada.Emit("say", "lobby", "on the new server")
		bob.Want("said", "on the new server")
	})
}

func TestOneServerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := socketiotest.Serve(t, socketio.Config{}, new(rooms).setup)
		ada := server.Connect("/", nil)
		server.Kill()
		ada.WantDisconnect(client.ReasonTransportClose)
		time.Sleep(10 * time.Second) // attempts after 1, 2, 4 seconds fail
		server.Restart()
		ada.WantConnect()
		if ada.Recovered() {
			t.Error("recovered from a server that was alone")
		}
		ada.Call("join", "lobby")
	})
}

// TestOutsideOfABubble is in real time.
func TestOutsideOfABubble(t *testing.T) {
	t.Parallel()
	servers := socketiotest.ServeCluster(t, 2, socketio.Config{Recovery: &socketio.Recovery{}}, new(rooms).setup)
	ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
	ada.Call("join", "lobby")
	servers[0].Kill()
	ada.WantDisconnect(client.ReasonTransportClose)
	servers[1].To("lobby").Emit("said", "missed")
	ada.WantRecovered()
	ada.Want("said", "missed")
	servers[1].Emit("said", "to all")
	bob.Want("said", "to all")
	ada.Want("said", "to all")
	ada.WantNothing()
	bob.WantNothing()
}

func TestARefusalAfterABreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Bool
		server := socketiotest.Serve(t, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
			io.Use(func(context.Context, *socketio.Socket) error {
				if closed.Load() {
					return socketio.NewError("closed")
				}
				return nil
			})
			return nil
		})
		ada := server.Connect("/", nil)
		closed.Store(true)
		ada.Cut()
		if e := ada.WantRefused(); e.Message != "closed" {
			t.Errorf("refused with %v", e)
		}
	})
}

func TestOfflineAndDelay(t *testing.T) {
	onTwo(t, &socketio.Recovery{}, func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client) {
		ada.SetOffline(true)
		bob.Emit("say", "lobby", "later")
		time.Sleep(5 * time.Second)
		ada.WantNothing()
		ada.SetOffline(false)
		ada.Want("said", "later") // the connection has lived on

		ada.SetOffline(true)
		bob.Emit("say", "lobby", "too late")
		ada.WantDisconnect(client.ReasonPingTimeout)
		synctest.Wait()
		time.Sleep(time.Minute)
		if left := d.gone(); len(left) != 1 || left[0] != socketio.ReasonPingTimeout {
			t.Errorf("the server noticed %q", left)
		}
		ada.SetOffline(false)
		ada.WantRecovered()
		ada.Want("said", "too late")

		ada.SetDelay(300 * time.Millisecond)
		start := time.Now()
		ada.Call("join", "garden")
		if took := time.Since(start); took != 600*time.Millisecond {
			t.Errorf("there and back in %v", took)
		}
	})
}

func TestVolatileEventsArrive(t *testing.T) {
	for _, transport := range []string{client.WebSocket, client.Polling} {
		synctest.Test(t, func(t *testing.T) {
			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, new(rooms).setup)
			ada := servers[0].ConnectWith(client.Config{Transports: []string{client.WebSocket}}, "/")
			bob := servers[1].ConnectWith(client.Config{Transports: []string{transport}}, "/")
			synctest.Wait()
			n := map[string]int{client.WebSocket: 20, client.Polling: 1}[transport] // in one poll
			ada.Emit("typing", n)
			for i := range n {
				bob.Want("typing", i)
			}
			synctest.Wait()
			bob.SetOffline(true) // its buffers are full soon
			for range 2000 {
				servers[1].Volatile().Emit("large", strings.Repeat("x", 100))
			}
			bob.SetOffline(false)
			if got := bob.Next("large").Len(); got != 1 {
				t.Errorf("%d arguments", got)
			}
			synctest.Wait() // bob polls again
			ada.Volatile().Emit("typing", 1)
			bob.Want("typing", 0)
		})
	}
}

func TestIsolateAndRejoin(t *testing.T) {
	for _, recovery := range []*socketio.Recovery{nil, {}} {
		onTwo(t, recovery, func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client) {
			near := servers[0].Connect("/", nil)
			near.Call("join", "lobby")
			servers[0].Isolate()
			ada.Emit("say", "lobby", "from ada")
			near.Want("said", "from ada") // on the same server
			bob.Emit("say", "lobby", "from bob")
			bob.WantNothing()
			ada.WantNothing()
			if e := ada.Fails("who"); e.Message != "away" {
				t.Errorf("asked others: %v", e)
			}
			if e := bob.Fails("who"); e.Message != "missing" { // five seconds later
				t.Errorf("asked an isolated server: %v", e)
			}
			servers[0].Rejoin()
			bob.Want("said", "from ada")
			if recovery != nil {
				ada.Want("said", "from bob")
				near.Want("said", "from bob")
			}
			for _, c := range []*socketiotest.Client{ada, bob, near} {
				c.WantNothing()
			}
			bob.Emit("say", "lobby", "again")
			ada.Want("said", "again")

			servers[0].Isolate()
			ada.Emit("say", "lobby", "too old")
			synctest.Wait()
			time.Sleep(time.Minute)
			servers[0].Rejoin()
			bob.WantNothing()
		})
	}
}

// TestIsolatedServersKnowNothing has a client leave an isolated server: the other one has its
// socket as it was before.
func TestIsolatedServersKnowNothing(t *testing.T) {
	onTwo(t, &socketio.Recovery{}, func(t *testing.T, d *rooms, servers []*socketiotest.Server, ada, bob *socketiotest.Client) {
		servers[0].Isolate()
		ada.Call("join", "garden")
		fresh := servers[0].Connect("/", nil)
		servers[0].Kill()
		ada.WantRecovered()
		fresh.WantConnect()
		if fresh.Recovered() {
			t.Error("recovered from a server that nobody heard")
		}
		bob.Emit("say", "garden", "for nobody")
		bob.Emit("say", "lobby", "for ada")
		ada.Want("said", "for ada")
		ada.WantNothing()
	})
}

// recorder is a test that notes its failures, and that ends before the test around it.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, v ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, v...))
}
func (r *recorder) end() {
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		f()
	}
}

func TestAHandlerThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		release := make(chan bool)
		server := socketiotest.Serve(r, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
			io.On("hang", func() { <-release })
			return nil
		})
		ada := server.Connect("/", nil)
		ada.Emit("hang")
		synctest.Wait()
		r.end()
		close(release)
		if len(r.failures) != 1 || !strings.Contains(r.failures[0], "a server has not ended within 24h") ||
			!strings.Contains(r.failures[0], `the handler of "hang" in / has been running`) ||
			!strings.Contains(r.failures[0], "TestAHandlerThatHangsIsNamed.") {
			t.Errorf("failed with %q", r.failures)
		}
	})
}

func TestAHandlerOfTheTestThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{TB: t}
		release := make(chan bool)
		server := socketiotest.Serve(r, socketio.Config{}, new(rooms).setup)
		ada := server.Connect("/", nil)
		ada.On("hang", func() { <-release })
		server.Emit("hang")
		synctest.Wait()
		r.end()
		close(release)
		if len(r.failures) != 1 || !strings.Contains(r.failures[0], "a handler of the test's client has not ended") {
			t.Errorf("failed with %q", r.failures)
		}
	})
}

// TestOnEachLink runs one test on the Hub and on Redis. The clients' events are awaited, never
// timed.
func TestOnEachLink(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	t.Run("links", func(t *testing.T) {
		socketiotest.EachLink(t, redis.URL(), func(t *testing.T, link socketiotest.Link) {
			servers := link.ServeCluster(t, 2, socketio.Config{}, new(rooms).setup)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			ada.Call("join", "lobby")
			bob.Call("join", "lobby")
			ada.Emit("say", "lobby", "hello")
			bob.Want("said", "hello")
			if n := socketiotest.Call[int](ada, "who"); n != 2 {
				t.Errorf("%d sockets", n)
			}
			servers[0].Isolate()
			ada.Emit("say", "lobby", "kept")
			if e := ada.Fails("who"); e.Message != "away" {
				t.Errorf("asked others: %v", e)
			}
			servers[0].Rejoin()
			bob.Want("said", "kept")
			servers[0].To("lobby").Emit("said", "once more")
			ada.Want("said", "once more")
			bob.Want("said", "once more")
			ada.WantNothing()
			bob.WantNothing()
			servers[0].Kill()
			ada.WantConnect()
			ada.Call("join", "lobby")
			bob.Emit("say", "lobby", "to the new one")
			ada.Want("said", "to the new one")
		})
	})
	t.Run("recovery", func(t *testing.T) {
		socketiotest.EachLink(t, redis.URL(), func(t *testing.T, link socketiotest.Link) {
			servers := link.ServeCluster(t, 2, socketio.Config{Recovery: &socketio.Recovery{}}, new(rooms).setup)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			ada.Call("join", "lobby")
			bob.Emit("say", "lobby", "seen")
			ada.Want("said", "seen")
			servers[0].Kill()
			ada.WantDisconnect(client.ReasonTransportClose)
			bob.Emit("say", "lobby", "missed")
			ada.WantRecovered()
			ada.Want("said", "missed")
			ada.WantNothing()
		}, adapter.Streams{})
	})
	if keys := redis.Do("KEYS", "*"); len(keys.([]any)) > 0 {
		t.Errorf("left in Redis: %v", keys)
	}
}
