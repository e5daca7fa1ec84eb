package engineio

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// measure asks the kernel about a TCP connection. So a session needs no clock for each message.
func measure(fd int, e *eventloop.Ending) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return // a unix socket, say
	}
	e.Measured = true
	e.Heard = e.At.Add(-time.Duration(info.Last_data_recv) * time.Millisecond)
	e.Sent = e.At.Add(-time.Duration(info.Last_data_sent) * time.Millisecond)
	e.Unacked, e.Retransmits = int(info.Unacked), int(info.Retransmits)
}
