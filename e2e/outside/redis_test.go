package outside

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// startRedis starts a redis-server that ends with the test, and returns its URL.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err != nil && os.Getenv("TESTKIT_REQUIRE") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip("redis-server is not installed; `make test` installs it")
	}
	for range 5 { // another process may take the port before Redis does
		if url := tryRedis(t, path); url != "" {
			return url
		}
	}
	t.Fatal("redis-server doesn't start")
	return ""
}

func tryRedis(t *testing.T, path string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	serves := false
	for !serves && lines.Scan() {
		serves = strings.Contains(lines.Text(), "Ready to accept connections")
	}
	drained := make(chan struct{})
	go func() { // Redis must not wait for somebody to read its log
		defer close(drained)
		for lines.Scan() {
		}
	}()
	end := func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-drained
		_ = cmd.Wait() // "signal: killed"
	}
	if !serves {
		end()
		return ""
	}
	t.Cleanup(end)
	return "redis://127.0.0.1:" + strconv.Itoa(port)
}
