//go:build e2e

package outage

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// frozenNode is how long a node of a cluster is stopped: longer than any timeout of the servers,
// and shorter than the cluster takes to replace it.
const frozenNode = 8 * time.Second

// TestFrozenNodeOfACluster: a node of a cluster is stopped and goes on, one that serves what the
// servers use, or another. Local clients hear everything at once and in order; other servers'
// clients hear everything in order, but for the messages that the servers count as uncertain; and
// in the end all is as before.
func TestFrozenNodeOfACluster(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		c := testkit.StartCluster(t)
		a, b := join(t, form, "a", c.URL()), join(t, form, "b", c.URL())
		a.awaitCount(2)
		b.awaitCount(2)
		const uncertain = "dropped_total uncertain"
		n, doubted, gaps := 0, 0.0, 0.0
		speak := func(last time.Duration) {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			from := n
			for end := time.Now().Add(last); time.Now().Before(end); n += 2 {
				a.burst(n, n+2)
				<-pace.C
			}
			a.expect(from, n) // nobody waits here
		}
		for _, frozen := range c.Nodes[:3] {
			first := n
			speak(200 * time.Millisecond)
			frozen.Stop()
			speak(frozenNode)
			frozen.Cont()
			testkit.Until(t, "b's client to be told again", func() bool {
				from := n
				a.burst(n, n+1)
				n++
				b.mu.Lock()
				defer b.mu.Unlock()
				return len(b.said) > 0 && b.said[len(b.said)-1] >= from
			})
			a.awaitUp(true)
			b.awaitUp(true)
			a.awaitCount(2)
			speak(200 * time.Millisecond)
			counted, missed := ask[map[string]float64](a, "counters")[uncertain], ask[map[string]float64](b, "counters")["gaps_total"]
			b.heardButFor(first, n, int(counted-doubted), missed > gaps)
			doubted, gaps = counted, missed
		}
	})
}

// heardButFor wants the client to have been told the numbers from, ..., to-1 once and in order. As
// many as are doubted may be missing, or come late: a stopped node still carries them out. Others
// may be missing only if the server reported a gap.
func (m *member) heardButFor(from, to, doubted int, gap bool) {
	m.t.Helper()
	heard := m.heardOf(from, to-1)
	told := make(map[int]bool)
	last, late := from-1, 0
	for _, n := range heard {
		if told[n] {
			m.t.Errorf("the client of %s was told %d twice", m.Name, n)
		}
		told[n] = true
		if n < last {
			late++
		}
		last = max(last, n)
	}
	if missing := to - from - len(told); late > doubted || missing+late > doubted && !gap {
		m.t.Errorf("the client of %s missed %d of %d messages and was told %d late, but %d are uncertain", m.Name, missing, to-from, late, doubted)
	}
	m.t.Logf("%d of %d messages, %d late, %d uncertain, gap %t", len(told), to-from, late, doubted, gap)
}
