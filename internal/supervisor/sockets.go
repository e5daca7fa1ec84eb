package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// ListenEnv is the variable in which a child finds the descriptors of inherited listening sockets, separated by commas.
const ListenEnv = "SIDEREAL_LISTEN_FDS"

// Listen opens a TCP socket to be inherited. Nothing here accepts from it: until a child does, connections wait in the
// kernel's queue.
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Inherited opens the listening sockets whose descriptors a child was given, and owns them from then on.
func Inherited(fds []int) ([]net.Listener, error) {
	var out []net.Listener
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "listener")
		if f == nil {
			return out, fmt.Errorf("supervisor: %d is no descriptor", fd)
		}
		l, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return out, fmt.Errorf("supervisor: inherited descriptor %d: %w", fd, err)
		}
		out = append(out, l)
	}
	return out, nil
}

// inherit duplicates the listeners for a child whose descriptors begin at first, and says where it finds them.
func inherit(listeners []*net.TCPListener, first int) (files []*os.File, env string, err error) {
	var fds []string
	for i, l := range listeners {
		f, err := l.File()
		if err != nil {
			closeAll(files)
			return nil, "", err
		}
		files = append(files, f)
		fds = append(fds, strconv.Itoa(first+i))
	}
	return files, ListenEnv + "=" + strings.Join(fds, ","), nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
