package sidereal_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// backgrounds names the files that may call context.Background, and why. Everything else gets its
// context from its caller. A key that ends with a slash covers a folder.
var backgrounds = map[string]string{
	"cmd/sidereal/":               "main: signals and time limits of commands",
	"worker/main.go":              "main of apps: signals",
	"engineio/server.go":          "a log line: the request that began the session has ended",
	"socketio/shutdown.go":        "signals of a server's end, which have no caller's values",
	"socketio/server.go":          "the root of all handlers' contexts; it ends when Run has returned",
	"client/client.go":            "the root of a client's connections; it ends with Close",
	"client/socket.go":            "the root of a socket's handlers; it ends with its disconnection",
	"router/listener.go":          "the root of a connection's requests; Close ends the connection",
	"directory/owner.go":          "one look for many requests, which ends by itself",
	"internal/admin/aggregate.go": "a scrape, which ends by itself; the registry's interface has no context",
	"internal/daemon/watch.go":    "the life of a watch; Daemon.watchers waits for it",
	"internal/host/deployment.go": "a drain: processes stop within their kill timeouts",
	"internal/host/nodehost.go":   "a drain, as above",
	"internal/host/door.go":       "a worker asked; the wait ends by itself",

	// Packages for tests.
	"e2e/": "tests", "examples/": "main", "socketio/adaptertest/": "tests", "socketio/internal/peer/": "tests",
	"adapter/internal/linktest/": "tests", "internal/testkit/": "tests", "internal/bench/": "benchmarks",
}

// TestBackgroundContexts: contexts begin in main, in the roots above and in drains.
func TestBackgroundContexts(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	unused := make(map[string]bool)
	for key := range backgrounds {
		unused[key] = true
	}
	for _, file := range strings.Fields(string(out)) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) { // removed, not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("context.Background()")) && !bytes.Contains(text, []byte("context.TODO()")) {
			continue
		}
		known := false
		for key := range backgrounds {
			if file == key || strings.HasSuffix(key, "/") && strings.HasPrefix(file, key) {
				known = true
				delete(unused, key)
			}
		}
		if !known {
			t.Errorf("%s makes a context of its own: take the caller's, or add it to the table with its reason", file)
		}
	}
	for key := range unused {
		t.Errorf("the table names %s, which makes no context", key)
	}
}
