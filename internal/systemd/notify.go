package systemd

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// The states that a service reports.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// notifyTimeout limits the wait for a service manager that doesn't read.
const notifyTimeout = time.Second

// Notifier reports the service's state to the service manager. Its zero value does nothing. It is
// safe for concurrent use.
type Notifier struct{ addr string }

// OpenNotifier returns the Notifier of a unit with Type=notify.
func OpenNotifier() Notifier {
	return Notifier{take("NOTIFY_SOCKET")}
}

// Say sends one or more assignments in one datagram.
func (n Notifier) Say(states ...string) error {
	if n.addr == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.addr, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("systemd: notify: %w", err)
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(notifyTimeout))
	if _, err := c.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("systemd: notify: %w", err)
	}
	return nil
}
