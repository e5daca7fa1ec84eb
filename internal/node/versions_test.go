package node

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// TestNodeVersions runs workers under the Nodes of e2e/package.json, beside that of the machine:
// both generations of the packages, as CommonJS and as ES modules, and a reload under load.
func TestNodeVersions(t *testing.T) {
	for _, version := range []string{"18", "22", "24"} {
		t.Run(version, func(t *testing.T) {
			node := nodeOf(t, version)
			for name, h := range map[string]how{
				"sticky 2, adapter 0.3": {script: worker, env: []string{sticky2, adapter3}},
				"sticky 1, adapter 0.2": {script: worker, env: []string{sticky1, adapter2}},
				"ES modules":            {script: "testdata/esm.mjs"},
			} {
				t.Run(name, func(t *testing.T) {
					h.node = node
					w := newWorld(t)
					old := w.workers(2, h)
					url := w.router("app", 2)
					if h.script == worker { // whose page is looked at, too
						w.check("transports", map[string]any{"url": url})
					}
					w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
					c := w.startCheck("load", map[string]any{"url": url, "clients": 8})
					c.line("talking")
					w.workers(2, h)
					for _, p := range old {
						w.leave(p)
					}
					c.stdin.Write([]byte("over\n"))
					c.line("done")
					c.end()
				})
			}
		})
	}
}

// leave has a process leave as in a reload.
func (w *world) leave(p *process) {
	w.t.Helper()
	w.told(lifeline.Told{Key: lifeline.Drain, Value: p.id})
	w.await(p.id, lifeline.ChildDrained)
	p.cmd.Process.Signal(syscall.SIGINT)
	w.gone(p.id)
}

// nodeOf is the program of one of Node's versions that come as an npm package: for one kind of
// machine.
func nodeOf(t *testing.T, version string) string {
	t.Helper()
	path := filepath.Join(modules(t), "node-"+version, "bin", "node")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("TESTKIT_REQUIRE") != "" && runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
			t.Fatal(err)
		}
		t.Skipf("Node %s is not installed: %v", version, err)
	}
	return path
}
