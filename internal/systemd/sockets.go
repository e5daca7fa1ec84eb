package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// firstFD is the first passed descriptor (SD_LISTEN_FDS_START).
const firstFD = 3

// Socket is a listening socket and its name: the unit's FileDescriptorName=, or the unit's own.
type Socket struct {
	Name string
	net.Listener
}

// Sockets takes over the listening sockets that systemd opened for this process. It returns none
// without systemd.
func Sockets() ([]Socket, error) {
	pid, count, names := take("LISTEN_PID"), take("LISTEN_FDS"), take("LISTEN_FDNAMES")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // the variables are for another process
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("systemd: LISTEN_FDS=%q is no number of sockets", count)
	}
	return open(firstFD, n, strings.Split(names, ":"))
}

func open(first, n int, names []string) (sockets []Socket, err error) {
	for i := range n {
		s := Socket{}
		if i < len(names) {
			s.Name = names[i]
		}
		f := os.NewFile(uintptr(first+i), s.Name)
		s.Listener, err = net.FileListener(f) // a copy that no child inherits
		f.Close()
		if err != nil {
			return sockets, fmt.Errorf("systemd: socket %q: %w", s.Name, err)
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// take returns a variable's value and removes the variable.
func take(name string) string {
	defer os.Unsetenv(name)
	return os.Getenv(name)
}
