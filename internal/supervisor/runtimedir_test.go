package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestRuntimeDirIsPrivateAndRemoved(t *testing.T) {
	d, err := NewRuntimeDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.Path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.WriteFile(filepath.Join(d.Path, "x.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.Path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestSweepRemovesTheDeadOnly(t *testing.T) {
	parent := t.TempDir()
	alive, err := NewRuntimeDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	dead, err := NewRuntimeDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	dead.lock.Close() // what the kernel does when a process is killed
	foreign := filepath.Join(parent, "sidereal-notes")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, lockName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "diary"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dead.Path, "worker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(filepath.Join(dead.Path, "script.js.part"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := NewRuntimeDir(parent, "script.js")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := os.Stat(dead.Path); !os.IsNotExist(err) {
		t.Errorf("the dead one: %v", err)
	}
	for _, path := range []string{alive.Path, filepath.Join(foreign, "diary"), filepath.Join(foreign, lockName), d.Path} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}
