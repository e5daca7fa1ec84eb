//go:build e2e

package outage

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestCutOffServerComesBack: a server that can no longer reach Redis, with no connection closed,
// notices, serves its own clients, and is in again when the network is back.
func TestCutOffServerComesBack(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t)
		net := startNetwork(t, redis.Addr())
		a, b := join(t, form, "a", "redis://"+net.addr()), join(t, form, "b", redis.URL())
		a.awaitCount(2)
		net.cut()
		a.burst(0, 100)
		if got := ask[int](a, "echo", 7); got != 7 {
			t.Errorf("echo says %d", got)
		}
		a.expect(0, 100)
		a.awaitUp(false)
		if f := ask[found](a, "count"); !f.Away || f.Sockets != 1 {
			t.Errorf("cut off it counts %+v", f)
		}
		a.burst(100, 200)
		net.heal()
		b.expect(100, 200)
		a.awaitUp(true)
		b.burst(200, 300)
		a.expect(200, 300)
		a.awaitCount(2)
	})
}

// TestReaderThatRedisCutsOff: a server that reads too slowly loses its subscription, and what it
// would have heard. It says so, and hears the next word.
func TestReaderThatRedisCutsOff(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		if strings.HasPrefix(form, "redis-streams") {
			t.Skip("a stream waits for its readers: see TestStreamWaitsForItsReaders")
		}
		redis := testkit.StartRedis(t, "--client-output-buffer-limit", "pubsub 256kb 256kb 1")
		a, b := join(t, form, "a", redis.URL()), join(t, form, "b", redis.URL())
		ask[bool](b, "join", "crowd")
		testkit.Until(t, "b's client to hear its room", func() bool { // which has a channel, that takes a moment, in the sharded form
			ask[bool](a, "flood", "crowd", 1, 1)
			return b.flooded.Load()
		})
		b.freeze()
		testkit.Until(t, "Redis to cut off the reader", func() bool {
			ask[bool](a, "flood", "crowd", 16, 64<<10)
			return strings.Contains(redis.Log(), "overcoming of output buffer limits")
		})
		b.thaw()
		b.Output.Wait(t, 0, "the gap", func(line string) bool { return strings.Contains(line, "may have been missed") })
		b.awaitUp(true)
		if n := ask[map[string]float64](b, "counters")["gaps_total"]; n < 1 {
			t.Errorf("%v gaps counted", n)
		}
		a.burst(0, 10)
		b.expect(0, 10)
	})
}

// TestStreamWaitsForItsReaders: what is said over a stream while a server is frozen, or cut off, is
// heard later.
func TestStreamWaitsForItsReaders(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	net := startNetwork(t, redis.Addr())
	a, b := join(t, "redis-streams", "a", redis.URL()), join(t, "redis-streams", "b", "redis://"+net.addr())
	a.burst(0, 1)
	b.expect(0, 1)
	b.freeze()
	a.burst(1, 1000)
	b.thaw()
	b.expect(1, 1000)
	net.cut()
	b.awaitUp(false)
	a.burst(1000, 2000)
	net.heal()
	b.expect(1000, 2000)
}

// network carries connections to one address until it is cut; then it holds what they say, and
// accepts without answering.
type network struct {
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	open  chan struct{} // closed while bytes pass
	conns []net.Conn
	ended bool
}

func startNetwork(t *testing.T, to string) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: l, open: make(chan struct{})}
	n.heal()
	n.running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() { n.carry(from, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		n.heal()
		n.mu.Lock()
		n.ended = true
		for _, c := range n.conns {
			c.Close()
		}
		n.mu.Unlock()
		n.running.Wait()
	})
	return n
}

func (n *network) addr() string { return n.listener.Addr().String() }

// cut keeps bytes from passing; heal lets them pass, those that were held too.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = make(chan struct{})
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.open:
	default:
		close(n.open)
	}
}

// keep has c closed at the end of the test.
func (n *network) keep(c net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		c.Close()
	}
	n.conns = append(n.conns, c)
	return !n.ended
}

func (n *network) carry(from net.Conn, addr string) {
	defer from.Close()
	if !n.keep(from) {
		return
	}
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	if !n.keep(to) {
		return
	}
	back := make(chan struct{})
	n.running.Go(func() {
		defer close(back)
		n.copy(from, to)
	})
	n.copy(to, from)
	<-back
}

// copy passes bytes on while the network is open, and then the end.
func (n *network) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		size, err := from.Read(buffer)
		n.mu.Lock()
		open := n.open
		n.mu.Unlock()
		<-open
		if size > 0 {
			if _, err := to.Write(buffer[:size]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
