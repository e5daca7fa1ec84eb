//go:build e2e

package e2e

import (
	"os"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.ManyWait()
	os.Exit(m.Run())
}

// pair starts two hosts of two workers each on one Redis.
func pair(t *testing.T) (*testkit.Redis, [2]*harness.Host) {
	t.Helper()
	return pairOf(t, 2)
}

// pairOf starts two hosts on one Redis and waits until each knows all workers of both.
func pairOf(t *testing.T, workers int) (redis *testkit.Redis, hosts [2]*harness.Host) {
	t.Helper()
	redis = testkit.StartRedis(t)
	for i, name := range []string{"host-a", "host-b"} {
		hosts[i] = harness.StartHost(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Workers: workers})
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2*workers)
	}
	return redis, hosts
}

// args is one call of the Node driver.
type args = map[string]any

// whoami is what the demo tells a client about itself.
type whoami struct {
	SID, ID, Worker, Host, Transport string
	Slot                             int
}
