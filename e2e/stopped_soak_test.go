//go:build e2e && soak

package e2e

import (
	"testing"
	"time"
)

// TestRedisStoppedForAMinute is TestStoppedRedisUnderLoad for longer than anything is remembered by
// accident.
func TestRedisStoppedForAMinute(t *testing.T) {
	redis, hosts := pair(t)
	freeze(t, redis, []string{hosts[0].URL, hosts[1].URL}, "whoami", func(l *load) {
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			l.more(t, 10)
		}
	}, hosts[:]...)
}
