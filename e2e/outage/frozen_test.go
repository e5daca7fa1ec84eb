//go:build e2e

package outage

import (
	"fmt"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestFrozenRedisLosesNothing: two servers speak to each other while Redis is stopped for longer
// than any of their timeouts, and goes on. Everything arrives, once, in order, and nobody tells of
// a loss.
func TestFrozenRedisLosesNothing(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		for _, frozen := range []time.Duration{5 * time.Second, 12 * time.Second} {
			t.Run(fmt.Sprint(frozen), func(t *testing.T) {
				t.Parallel()
				redis := testkit.StartRedis(t)
				a, b := join(t, form, "a", redis.URL()), join(t, form, "b", redis.URL())
				a.awaitCount(2)
				b.awaitCount(2)
				n := 0
				pace := time.NewTicker(10 * time.Millisecond) // a stream keeps what is said meanwhile
				defer pace.Stop()
				speak := func(last time.Duration) {
					for end := time.Now().Add(last); time.Now().Before(end); n += 2 {
						a.burst(n, n+2)
						b.burst(1_000_000+n, 1_000_000+n+2)
						<-pace.C
					}
				}
				speak(200 * time.Millisecond)
				redis.Stop()
				speak(frozen)
				redis.Cont()
				speak(time.Second)
				for _, m := range []*member{a, b} {
					m.awaitUp(true)
				}
				speak(200 * time.Millisecond)
				for _, m := range []*member{a, b} {
					m.expect(0, n)
					m.expect(1_000_000, 1_000_000+n)
					counters := ask[map[string]float64](m, "counters")
					for name, count := range counters {
						if count > 0 && (len(name) > 7 && name[:7] == "dropped" || name == "gaps_total") {
							t.Errorf("%s: %s is %v", m.Name, name, count)
						}
					}
				}
				t.Logf("%d messages each way", n)
			})
		}
	})
}
