package daemon

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// An app that runs as another user replaces its log file by a link to a file of root's, and the
// daemon, which is root, starts it anew, empties its logs and deletes it.
func TestAppOfAnotherUserThatReplacesItsLog(t *testing.T) {
	dir, secret := testkit.StrangersFolder(t)
	for d := dir; d != "/"; d = filepath.Dir(d) { // so that the app gets there
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o111 != 0o111 {
			must(t, os.Chmod(d, info.Mode()|0o711))
		}
	}
	program := forAll(t)
	r := runDaemon(t, func(c *Config) { c.Program = []string{program} })
	a := app(t, "evil", "")
	a.Script, a.Cwd, a.UID, a.Autorestart = "/bin/sh", "/", "nobody", false
	a.OutFile, a.ErrorFile, a.PIDFile = filepath.Join(dir, "out.log"), filepath.Join(dir, "err.log"), filepath.Join(dir, "evil.pid")
	a.Args = []string{"-c", fmt.Sprintf(`cd %s; for f in out-0.log err-0.log evil-0.pid; do rm -f $f; ln -s ../secret $f; done; echo line; echo line >&2`, dir)}
	r.must(r.start(StartNew, a))
	for range 2 {
		if _, err := r.act(Action{Verb: ReloadLogs, Targets: []string{"evil"}}); err == nil {
			r.eventually("the links", func(Listing) bool { _, err := os.Readlink(filepath.Join(dir, "evil-0.pid")); return err == nil })
		}
		r.act(Action{Verb: Flush, Targets: []string{"evil"}}) // refused
		r.act(Action{Verb: Restart, Targets: []string{"evil"}})
	}
	if err := r.Logs(context.Background(), LogRequest{Targets: []string{"evil"}, Lines: 10}, func(l LogLine) error {
		if strings.Contains(l.Text, "secret") {
			t.Errorf("shown: %q", l.Text)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"evil"}}))
	if raw, err := os.ReadFile(secret); err != nil || string(raw) != "secret" {
		t.Errorf("root's file is now %q, %v", raw, err)
	}
}
