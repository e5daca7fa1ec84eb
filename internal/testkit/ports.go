package testkit

import (
	"net"
	"testing"
)

// FreePort returns a TCP port of 127.0.0.1 that nobody listened on a moment ago. Somebody else may
// take it: callers start what needs it at once, and try again if it is taken.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
