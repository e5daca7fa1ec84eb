//go:build e2e && linux

package pm2compare

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestModule runs a script that requires pm2 with PM2's own module, and with ours. The apps that it starts
// require pm2, too, and have PM2 in their node_modules.
func TestModule(t *testing.T) {
	node := testkit.Need(t, "node")
	pm2, sidereal := startPM2(t), startSidereal(t)
	real := filepath.Join(harness.Root(), "e2e", "node_modules", "pm2")
	ours := filepath.Join(t.TempDir(), "pm2")
	if out, code := sidereal.run(t, "", nil, "module", ours); code != 0 {
		t.Fatalf("sidereal module: %s", out)
	}
	path := "PATH=" + programs(t) + ":" + os.Getenv("PATH")
	want := scriptSays(t, pm2, node, real)
	got := scriptSays(t, sidereal, node, ours, path, "SIDEREAL_HOME="+sidereal.own)
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("the answers differ from line %d on:\n%s\nwith PM2,\n%s\nwith Sidereal", i, strings.Join(want[min(i, len(want)):], "\n"), strings.Join(got[min(i, len(got)):], "\n"))
		}
	}
	if out, code := sidereal.run(t, "", nil, "module", filepath.Dir(ours)); code == 0 {
		t.Errorf("it writes into a folder with other files: %s", out)
	}
}

// programs returns a folder with our program as sidereal.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(harness.Binary(), filepath.Join(dir, "sidereal")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// scriptSays runs the script with a module, and returns what it prints.
func scriptSays(t *testing.T, m *manager, node, module string, env ...string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := copyInto(dir, "testdata/module"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "node_modules"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(harness.Root(), "e2e", "node_modules", "pm2"), filepath.Join(dir, "node_modules", "pm2")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, node, "script.js", module)
	cmd.Dir, cmd.Env = dir, append(slices.Clone(m.env), env...)
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the script with %s: %v\n%s%s", m.name, err, out, trouble.String())
	}
	var said []string
	for line := range strings.Lines(strings.ReplaceAll(string(out), dir, "<dir>")) {
		if strings.HasPrefix(line, "> ") {
			said = append(said, strings.TrimSpace(line))
		}
	}
	return said
}
