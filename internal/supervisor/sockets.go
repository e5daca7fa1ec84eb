package supervisor

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// ListenEnv is the variable in which a child finds the descriptors of its inherited listening
// sockets, separated by commas.
const ListenEnv = "SIDEREAL_LISTEN_FDS"

// Listen opens a TCP socket for children to inherit. The supervisor never accepts from it:
// connections wait in the kernel's queue until a child does.
func Listen(ctx context.Context, addr string) (*net.TCPListener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// Inherited opens the listening sockets of a child by their descriptors, which it takes over.
func Inherited(fds []int) ([]net.Listener, error) {
	var out []net.Listener
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "listener")
		if f == nil {
			return out, fmt.Errorf("supervisor: %d isn't a descriptor", fd)
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

// inherit duplicates the listeners for a child whose descriptors begin at first. env tells the
// child their numbers.
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
