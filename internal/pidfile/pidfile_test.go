package pidfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveLeavesTheSuccessorsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "api-0.pid")
	for _, pid := range []int{12345, 7} { // the second one is shorter
		if err := Write(path, pid); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(path, 12345); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(path); err != nil || string(raw) != "7" {
		t.Fatalf("the file of process 7 holds %q, %v", raw, err)
	}
	if err := Remove(path, 7); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the file is left:", err)
	}
}
