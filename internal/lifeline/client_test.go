package lifeline

import (
	"errors"
	"io/fs"
	"testing"
	"testing/fstest"
)

func TestClientFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := fs.ReadFile(Client(dir), "socket.io.js"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without an archive: %v", err)
	}
	if err := WriteClient(dir, fstest.MapFS{"socket.io.js": {Data: []byte("/* client */")}, "package.json": {Data: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	if text, err := fs.ReadFile(Client(dir), "socket.io.js"); err != nil || string(text) != "/* client */" {
		t.Errorf("%q %v", text, err)
	}
	for _, name := range []string{"missing", "../client.zip", "/socket.io.js"} {
		if text, err := fs.ReadFile(Client(dir), name); err == nil {
			t.Errorf("%s: %q", name, text)
		}
	}
	if err := WriteClient(dir, fstest.MapFS{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second archive: %v", err)
	}
}
