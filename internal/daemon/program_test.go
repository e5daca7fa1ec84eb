package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestKeepProgram: a program that npm may remove runs from a copy, and another one from its place.
func TestKeepProgram(t *testing.T) {
	dir := t.TempDir()
	home := Home(filepath.Join(dir, "home"))
	place := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keeps := func(program, want, text string) {
		t.Helper()
		got, err := home.keepProgram([]string{program, "--flag"})
		if err != nil || !slices.Equal(got, []string{want, "--flag"}) {
			t.Fatalf("%s: %q (%v), want %s", program, got, err, want)
		}
		if data, err := os.ReadFile(want); err != nil || string(data) != text {
			t.Errorf("%s is %q (%v), want %q", want, data, err, text)
		}
	}
	const npx = "cache/_npx/1a2b/node_modules/@sidereal-io/linux-x64/bin/sidereal"
	copied := filepath.Join(string(home), "bin", "sidereal")
	first := place(npx, "first")
	keeps(first, copied, "first")
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
	keeps(place(npx, "second"), copied, "second")
	installed := place("usr/bin/node_modules", "installed") // a name, not a folder
	keeps(installed, installed, "installed")
	if got, err := home.keepProgram(nil); got != nil || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err := home.keepProgram([]string{filepath.Join(dir, "node_modules", "missing")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want a missing file", err)
	}
	left, err := os.ReadDir(filepath.Dir(copied))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
