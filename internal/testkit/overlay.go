package testkit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// BuildWith builds the package of the current folder with some of its files replaced: by the text
// that replace has for a file's name, or by nothing if that is empty.
func BuildWith(t testing.TB, replace map[string]string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	files := make(map[string]string, len(replace))
	for name, text := range replace {
		files[filepath.Join(dir, name)] = "" // deleted
		if text != "" {
			changed := filepath.Join(temp, name)
			if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			files[filepath.Join(dir, name)] = changed
		}
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": files})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := Go(t, "build", "-overlay", file, ".").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
