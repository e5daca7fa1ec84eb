//go:build e2e

package outage

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestFrozenRedisBlocksNobody: while Redis answers nothing, emits return, and the server's own
// clients hear them in order.
func TestFrozenRedisBlocksNobody(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t)
		a, b := join(t, form, "a", redis.URL()), join(t, form, "b", redis.URL())
		redis.Stop()
		a.burst(0, 1000)
		if got := ask[int](a, "echo", 7); got != 7 {
			t.Errorf("echo says %d", got)
		}
		a.expect(0, 1000)
		redis.Cont()
		last := 1000
		testkit.Until(t, "b to hear a again", func() bool { // how much of the rest Redis still passed on depends on how long it slept
			a.burst(last, last+1)
			last++
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.said) > 0 && b.said[len(b.said)-1] >= 1000
		})
		b.checkOrder()
	})
}

// TestBufferedEmitsFlushInOrder: what was emitted while Redis was dead reaches the others once it
// is back, in order, but for what was volatile.
func TestBufferedEmitsFlushInOrder(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t)
		net := startNetwork(t, redis.Addr())
		a, b := join(t, form, "a", "redis://"+net.addr()), join(t, form, "b", redis.URL())
		a.burst(0, 1)
		b.expect(0, 1)
		for outage := range 2 {
			first := 1 + outage*1000
			kill(redis, a, b)
			a.burst(first, first+500)
			ask[bool](a, "volatile", -1)
			a.burst(first+500, first+999)
			a.expect(first, first+999) // its own client does not wait
			restart(redis, net, b)
			a.burst(first+999, first+1000)
			b.expect(first, first+1000)
		}
		if heard := b.heardOf(-1, 2000); heard[0] < 0 {
			t.Errorf("b's client was told %v", heard[0])
		}
		if n := ask[map[string]float64](a, "counters")["dropped_total volatile"]; n != 2 {
			t.Errorf("%v volatile messages counted as dropped", n)
		}
	})
}

// kill ends Redis and returns once the servers know.
func kill(redis *testkit.Redis, servers ...*member) {
	redis.Kill()
	for _, m := range servers {
		m.awaitUp(false)
	}
}

// restart starts Redis again, and lets whoever is behind the network find it once the others have:
// what is flushed then finds them, however slow the machine is.
func restart(redis *testkit.Redis, net *network, others ...*member) {
	net.cut()
	redis.Restart()
	for _, m := range others {
		m.awaitUp(true)
	}
	net.heal()
}

// TestDropsAreCountedAndLoggedOnce: what does not fit is counted, and one line for each outage says
// how much it was.
func TestDropsAreCountedAndLoggedOnce(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t)
		net := startNetwork(t, redis.Addr())
		a, b := join(t, form, "a", "redis://"+net.addr(), bufferEnv+"=10"), join(t, form, "b", redis.URL())
		for outage, drops := range []int{90, 50} {
			first := outage * 1000
			kill(redis, a, b)
			a.burst(first, first+10+drops)
			restart(redis, net, b)
			b.expect(first+drops, first+10+drops)
			if heard := b.heardOf(first, first+10+drops-1); len(heard) != 10 {
				t.Errorf("b's client was told %v", heard)
			}
		}
		if n := ask[map[string]float64](a, "counters")["dropped_total buffer_full"]; n != 140 {
			t.Errorf("%v messages counted as dropped", n)
		}
		a.Stop(t)
		output := strings.Join(a.Output.All(), "\n")
		for _, number := range []string{`"dropped":90,`, `"dropped":50,`} {
			if strings.Count(output, number) != 1 {
				t.Errorf("no single line has %s", number)
			}
		}
		if n := strings.Count(output, `"dropped"`); n != 2 {
			t.Errorf("%d lines tell of two outages", n)
		}
	})
}

// TestBufferIsBoundedByBytesAndAge: of what is emitted while Redis is dead the newest is kept that
// fits, and nothing that is old by the time Redis is back.
func TestBufferIsBoundedByBytesAndAge(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		const sent, age = 100, time.Second
		redis := testkit.StartRedis(t)
		net := startNetwork(t, redis.Addr())
		url := "redis://" + net.addr()
		bytes, young := join(t, form, "bytes", url, bytesEnv+"=2000"), join(t, form, "young", url, fmt.Sprintf("%s=%d", ageEnv, age.Milliseconds()))
		b := join(t, form, "b", redis.URL())
		kill(redis, bytes, young, b)
		young.burst(0, sent)
		old := time.Now().Add(age)
		bytes.burst(1000, 1000+sent)
		testkit.Until(t, "what was said to be old", func() bool { return time.Now().After(old) })
		restart(redis, net, b)
		kept := b.heardOf(1000, 1000+sent-1)
		if n := len(kept); n < 2 || n > sent/2 || kept[0] != 1000+sent-n {
			t.Errorf("of %d messages b's client was told %v", sent, kept)
		}
		if n := ask[map[string]float64](bytes, "counters")["dropped_total buffer_full"]; n != float64(sent-len(kept)) {
			t.Errorf("%v messages counted as dropped, and %d arrived", n, len(kept))
		}
		testkit.Until(t, "the old ones to be counted", func() bool {
			return ask[map[string]float64](young, "counters")["dropped_total expired"] == sent
		})
		b.mu.Lock()
		defer b.mu.Unlock()
		if slices.ContainsFunc(b.said, func(n int) bool { return n < sent }) {
			t.Errorf("b's client was told what was too old: %v", b.said)
		}
	})
}

// TestRequestsFailFastWithoutRedis: the question under way ends when Redis does, and the next ones
// at once.
func TestRequestsFailFastWithoutRedis(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t)
		a, b := join(t, form, "a", redis.URL()), join(t, form, "b", redis.URL())
		a.awaitCount(2)
		b.freeze()
		underWay := make(chan found, 1)
		go func() { underWay <- ask[found](a, "count") }()
		redis.Kill()
		for i, f := range []found{testkit.Receive(t, "an answer", underWay), ask[found](a, "count")} {
			if !f.Away || f.Sockets != 1 || !strings.Contains(f.Error, "Redis is away") {
				t.Errorf("question %d was answered %+v", i, f)
			}
		}
		redis.Restart()
		b.thaw()
		a.awaitCount(2)
	})
}
