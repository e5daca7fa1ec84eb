package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// holdsPreload checks that the folder has the script, for all to read, and nothing else.
func holdsPreload(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{Preload, Adapter, UsageScript} {
		holdsScript(t, filepath.Join(dir, name), map[string][]byte{Preload: preload, Adapter: adapterScript, UsageScript: usageSource}[name])
	}
	holdsScript(t, filepath.Join(dir, "pm2.cjs"), PM2Module)
	self, err := os.Executable()
	if link, failed := os.Readlink(filepath.Join(dir, "sidereal")); err != nil || failed != nil || link != self {
		t.Errorf("%q, not %q: %v, %v", link, self, failed, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 5 {
		t.Errorf("%v, %v", entries, err)
	}
}

func holdsScript(t *testing.T, path string, want []byte) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o044 != 0o044 {
		t.Fatalf("%v, %v", info, err)
	}
	if raw, err := os.ReadFile(path); err != nil || !bytes.Equal(raw, want) {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

func TestPreloadIsThereForEachProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run", "sidereal-1")
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, before := range []func() error{
		func() error { return nil }, // a cleaner took the whole folder
		func() error { return os.Remove(filepath.Join(dir, Preload)) },
		func() error { return os.Remove(filepath.Join(dir, Adapter)) },
		func() error { return os.WriteFile(filepath.Join(dir, Preload+".part"), nil, 0o600) }, // of a start that was killed
		func() error {
			return os.Rename(filepath.Join(dir, Preload), filepath.Join(dir, Preload+".part"))
		},
		func() error { // the app's user may write into the folder: root must not follow
			if err := os.Remove(filepath.Join(dir, Preload)); err != nil {
				return err
			}
			if err := os.Symlink(target, filepath.Join(dir, Preload)); err != nil {
				return err
			}
			return os.Symlink(target, filepath.Join(dir, Preload+".part"))
		},
	} {
		if err := before(); err != nil {
			t.Fatal(err)
		}
		if err := writePreload(dir, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, Preload+".part")); err == nil {
			os.Remove(filepath.Join(dir, Preload+".part"))
		}
		holdsPreload(t, dir)
	}
	if raw, err := os.ReadFile(target); err != nil || string(raw) != "mine" {
		t.Errorf("a link was followed: %q, %v", raw, err)
	}
}

func TestPreloadStaysOutOfOthersFolders(t *testing.T) {
	dir := "/" // root's
	if os.Getuid() == 0 {
		dir = filepath.Join(t.TempDir(), "theirs")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePreload(dir, nil); err == nil {
		t.Error("wrote into another user's folder")
	}
}
