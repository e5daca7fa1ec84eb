package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports of FreePort: below those that kernels give to outgoing connections, which may take any of
// theirs at any time, and above those that browsers refuse.
const (
	firstPort = 20_000
	lastPort  = 32_767
	portTries = 100
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listened on a moment ago. Another test may
// take it: callers start what needs it at once.
func FreePort(t testing.TB) int {
	t.Helper()
	var failed error
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			failed = err
			continue
		}
		l.Close()
		return port
	}
	t.Fatalf("free port: %v", failed)
	return 0
}
