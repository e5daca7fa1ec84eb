package adapter_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestFormsCanBeDeleted builds the package without the file of a form, hence without its internal
// package. Streams brings recovery, and nothing else needs to know of it.
func TestFormsCanBeDeleted(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"sharded.go", "streams.go"} {
		t.Run(form, func(t *testing.T) {
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, form): ""}})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "overlay.json")
			if err := os.WriteFile(file, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", file, ".").CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
