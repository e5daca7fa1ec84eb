package worker

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// unread is how many bytes the other end has not read.
func unread(t *testing.T, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRequestsInPieces(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	c := talk(t, d.open())
	target := c.session()
	body := `420["echo","x"]`
	post := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
	head := strings.Index(post, "\r\n\r\n") + 4
	for _, at := range []int{1, 10, head - 1, head} { // from the body on it is net/http's
		c.send("%s", post[:at])
		testkit.Until(t, "the piece is read", func() bool { return unread(t, c.Conn) == 0 })
		c.send("%s", post[at:])
		c.want(200, "ok")
		c.get(target)
		c.want(200, `430["x"]`)
	}
}
