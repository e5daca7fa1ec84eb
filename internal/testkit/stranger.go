package testkit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Stranger is the id of another user than the one that runs the tests.
const Stranger = 65534

// StrangersFolder makes a folder that Stranger owns, and beside it a file of ours. It skips the
// test if this isn't root, the only user who may give files away.
func StrangersFolder(t *testing.T) (dir, secret string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	top := t.TempDir()
	dir, secret = filepath.Join(top, "app"), filepath.Join(top, "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Mkdir(dir, 0o755), os.Lchown(dir, Stranger, Stranger)); err != nil {
		t.Fatal(err)
	}
	return dir, secret
}
