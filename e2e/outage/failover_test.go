//go:build e2e

package outage

import (
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestSentinelFailsOver: the master dies, and its replica takes its place.
func TestSentinelFailsOver(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		s := testkit.StartSentinel(t)
		failOver(t, form, s.URL(), s.First.Kill, func() { s.Promoted(s.Second) })
	})
}

// TestClusterFailsOver: the node dies that serves the channel, or the stream, of the main
// namespace.
func TestClusterFailsOver(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		c := testkit.StartCluster(t)
		owner := c.Owner("socket.io#/#")
		if strings.HasPrefix(form, "redis-streams") {
			owner = c.Owner("socket.io")
		}
		failOver(t, form, c.URL(), owner.Kill, func() { c.Promote(owner) })
	})
}

// failOver has two servers talk before, during and after the death of their Redis. What is said is
// told to local clients in order whatever happens, and nothing is told out of order elsewhere;
// afterwards all is as before.
func failOver(t *testing.T, form, url string, kill, promote func()) {
	t.Helper()
	a, b := join(t, form, "a", url), join(t, form, "b", url)
	a.awaitCount(2)
	last := 0
	talk := func() {
		from := last
		testkit.Until(t, "b's client to be told", func() bool {
			a.burst(last, last+10)
			last += 10
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.said) > 0 && b.said[len(b.said)-1] >= from
		})
	}
	talk()
	kill()
	a.burst(last, last+100)
	if got := ask[int](a, "echo", 7); got != 7 {
		t.Errorf("echo says %d", got)
	}
	last += 100
	promote()
	talk()
	a.awaitUp(true)
	b.awaitUp(true)
	a.awaitCount(2)
	a.expect(0, last)
	b.heardOf(0, last-1)
	b.checkOrder()
}
