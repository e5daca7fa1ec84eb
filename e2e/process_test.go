//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestProcessBelongsToTheApp: an app's metrics are on the host's page, its log lines have the form
// of ours, and its hooks run at a reload and at the end, with Redis still there.
func TestProcessBelongsToTheApp(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "shop")
	build := exec.Command("go", "build", "-o", binary, "./e2e/shop")
	build.Dir = harness.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	redis := testkit.StartRedis(t)
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", RedisURL: redis.URL(), Workers: 2, App: []string{binary}})
	expect := func() {
		t.Helper()
		testkit.Until(t, "the app's metrics", func() bool {
			m := host.Metrics()
			return m[`shop_jobs{process="worker-1"}`] == 1 && m[`shop_jobs{process="worker-2"}`] == 1 &&
				m[`shop_slot{process="worker-1"}`] == 1 && m[`shop_slot{process="worker-2"}`] == 2
		})
	}
	expect()
	host.Signal(t, syscall.SIGUSR2)
	host.Output.Wait(t, 0, "the end of the reload", harness.Contains("reload done"))
	expect()
	if code := host.Stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	closed := map[string]int{} // lines by process, in order: the app's last one, then the worker's
	for _, line := range host.Output.All() {
		switch {
		case strings.Contains(line, `"message":"shop closes"`) && strings.Contains(line, `"process":"worker-`):
			closed["shop"]++
		case strings.Contains(line, `"message":"worker stopped"`):
			if closed["worker"]++; closed["worker"] > closed["shop"] {
				t.Errorf("a worker stopped before its shop closed: %s", line)
			}
		}
	}
	if closed["shop"] != 4 || closed["worker"] != 4 {
		t.Errorf("%v, want 4 of each\n%s", closed, strings.Join(host.Output.All(), "\n"))
	}
}
