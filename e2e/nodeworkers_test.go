//go:build e2e && linux

package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestNodeWorkersOnTwoHosts starts examples/node-workers on two hosts, as its README says, and says
// something at both.
func TestNodeWorkersOnTwoHosts(t *testing.T) {
	redis := testkit.StartRedis(t)
	dir := filepath.Join(harness.Root(), "examples", "node-workers")
	modules := "NODE_PATH=" + filepath.Join(harness.Root(), "e2e", "node_modules")
	var urls []string
	for _, name := range []string{"host-a", "host-b"} {
		addr := harness.Loopback(t)
		b := newBackground(t, modules, "SIDEREAL_HOST_NAME="+name, "PM2_PORT="+addr[strings.LastIndex(addr, ":")+1:])
		b.must(dir, "start", "ecosystem.config.js", "-i", "2", "--redis-url", redis.URL())
		urls = append(urls, "http://"+addr)
	}
	client := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, "node", append([]string{"client.js"}, urls...)...)
		cmd.Dir, cmd.Env = dir, append(cmd.Environ(), modules)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	testkit.Until(t, "all workers to know each other", func() bool {
		return strings.Contains(client(), "10 clients at 4 workers")
	})
}
