package sidereal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestVersionOfCheckout: binaries and packages get one version, which is a tag's or grows with the
// commits after it.
func TestVersionOfCheckout(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "scripts", "version.sh")
	if err := os.Mkdir(filepath.Dir(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(script, []byte(read(t, "scripts/version.sh")), 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(env []string, name string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), "VERSION=", "BUILD_COMMIT=", "BUILD_DATE=",
			"GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_DIR="+filepath.Join(dir, ".git"), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=2026-11-21T10:00:00+02:00",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-11-21T10:00:00+02:00"), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	hash := ""
	is := func(want string, env ...string) {
		t.Helper()
		want = strings.ReplaceAll(want, "HASH", hash)
		out, err := run(env, "sh", script)
		if got := strings.TrimSpace(strings.ReplaceAll(out, "\n", " ")); err != nil || got != want {
			t.Errorf("%v: %s (%v), want %s", env, got, err, want)
		}
	}
	git := func(args ...string) {
		t.Helper()
		if out, err := run(nil, "git", args...); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	commit := func() {
		t.Helper()
		git("commit", "--quiet", "--all", "--allow-empty", "--no-gpg-sign", "--message", "x")
		out, err := run(nil, "git", "rev-parse", "--short=12", "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		hash = strings.TrimSpace(out)
	}
	const date = " date=2026-11-21T08:00:00Z"
	is("version=0.0.0-dev commit= date=") // an archive
	is("version=1.2.3-rc.1 commit=abc date=2026-01-01T00:00:00Z", "VERSION=v1.2.3-rc.1", "BUILD_COMMIT=abc", "BUILD_DATE=2026-01-01T00:00:00Z")
	for _, wrong := range []string{"1.2", "latest", "1.02.3", "1.2.3-01", "1.2.3 x", "1.2.3;x", "1.2.3+x", "1.2.3\n4.5.6"} {
		if out, err := run([]string{"VERSION=" + wrong}, "sh", script); err == nil || !strings.Contains(out, "want a version like 1.2.3") {
			t.Errorf("VERSION=%s: %s (%v)", wrong, out, err)
		}
	}
	if out, err := run([]string{"BUILD_DATE=$(date)"}, "sh", script); err == nil || !strings.Contains(out, "want a hash and a date") {
		t.Errorf("a date that a shell would run: %s (%v)", out, err)
	}
	git("init", "--quiet")
	commit()
	is("version=0.0.0-dev.1.gHASH commit=HASH" + date)
	git("tag", "v1.2.9")
	is("version=1.2.9 commit=HASH" + date)
	commit()
	is("version=1.2.10-dev.1.gHASH commit=HASH" + date)
	git("tag", "v2.0.0-rc.1")
	is("version=2.0.0-rc.1 commit=HASH" + date)
	commit()
	git("add", "scripts")
	is("version=2.0.0-rc.1.dev.1.gHASH.dirty commit=HASH-dirty" + date)
	commit()
	is("version=2.0.0-rc.1.dev.2.gHASH commit=HASH" + date)
	is("version=3.0.0 commit=HASH"+date, "VERSION=v3.0.0")
}
