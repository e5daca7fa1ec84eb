//go:build e2e && linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// folder writes the files of an app, by name, into a folder of its own.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestCleanedTemporaryFolder: programs that clean folders for temporary files remove regular files
// that nobody has read for days, whoever needs them.
func TestCleanedTemporaryFolder(t *testing.T) {
	temp := t.TempDir()
	b := newBackground(t, "TMPDIR="+temp, "SIDEREAL_ADDR="+harness.Loopback(t))
	dir := folder(t, map[string]string{"worker.js": "setInterval(() => {}, 1000); process.send('ready');\n"})
	b.must(dir, "start", "worker.js", "--name", "forked", "--wait-ready")
	b.must(dir, "start", "worker.js", "--name", "clustered", "-i", "2", "--wait-ready")
	for _, clean := range []string{temp, filepath.Join(string(b.home), "run")} { // nobody should come to the second
		err := filepath.WalkDir(clean, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				err = os.Remove(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		b.must(dir, "restart", "all")
		b.must(dir, "reload", "all")
	}
	for _, p := range b.list().Processes {
		if p.Status != "online" || p.Unstable != 0 {
			t.Errorf("%s is %s after %d unstable ends", p.Name, p.Status, p.Unstable)
		}
	}
}
