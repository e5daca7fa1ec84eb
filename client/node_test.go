package client_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// startNode starts official servers, as testdata/server.cjs has them, or skips the test where there
// is no Node or no npm packages, unless TESTKIT_REQUIRE is 1.
func startNode(t testing.TB) servers {
	t.Helper()
	need := t.Skipf
	if os.Getenv("TESTKIT_REQUIRE") == "1" {
		need = t.Fatalf
	}
	modules, err := filepath.Abs("../e2e/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "socket.io")); err != nil {
		need("the npm packages are not installed: %v", err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		need("no node: %v", err)
	}
	cmd := exec.Command("node", "testdata/server.cjs")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close() // which ends it
		io.Copy(io.Discard, stdout)
		cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("node servers: %v", err)
	}
	var ports struct{ Plain, Recovery, Deflate, Msgpack int }
	if err := json.Unmarshal([]byte(line), &ports); err != nil {
		t.Fatalf("node servers: %v in %s", err, line)
	}
	url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
	return servers{url(ports.Plain), url(ports.Recovery), url(ports.Deflate), url(ports.Msgpack)}
}
