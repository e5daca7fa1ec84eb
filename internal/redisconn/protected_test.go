package redisconn

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// hangingUp listens, and does no more with a connection than say a line and close it: by a reset,
// where the client has written.
func hangingUp(t *testing.T, says string, reset bool) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, says)
			if reset { // the client's first bytes are there and unread, or it has closed
				_, _ = c.Read(make([]byte, 1))
			}
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

const deniedLine = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. And so on.\r\n"

func TestProtectedModeIsTheOperatorsToMend(t *testing.T) {
	for _, reset := range []bool{false, true} {
		addr := hangingUp(t, deniedLine, reset)
		for _, password := range []string{"", "p"} {
			for range 20 { // close and write race
				c := open(t, Config{URL: "redis://" + addr, Password: password})
				err := c.Check(t.Context())
				if !errors.Is(err, ErrProtected) || !errors.Is(err, ErrRights) || errors.Is(err, ErrUnreachable) {
					t.Fatalf("reset %v, password %q: %v", reset, password, err)
				}
				if !strings.Contains(err.Error(), "requirepass") {
					t.Errorf("does not say what helps: %v", err)
				}
			}
			if err := open(t, Config{URL: "redis://" + addr, Password: password}).Reach(t.Context()); !errors.Is(err, ErrProtected) {
				t.Errorf("waits: %v", err)
			}
		}
	}
}

func TestHangingUpIsNoProtectedMode(t *testing.T) {
	for _, says := range []string{"", "-DEN", "-ERR max number of clients reached\r\n"} {
		for _, reset := range []bool{false, true} {
			err := open(t, Config{URL: "redis://" + hangingUp(t, says, reset)}).Check(t.Context())
			if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrRights) {
				t.Errorf("%q, reset %v: %v", says, reset, err)
			}
		}
	}
}
