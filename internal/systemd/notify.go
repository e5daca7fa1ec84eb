package systemd

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// What a service says.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// notifyTimeout bounds how long a service manager that does not read may hold us up.
const notifyTimeout = time.Second

// Notifier says to the service manager how the service does. Its zero value speaks to nobody. Safe
// for concurrent use.
type Notifier struct{ addr string }

// OpenNotifier finds out who wants to know, of a unit with Type=notify.
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
