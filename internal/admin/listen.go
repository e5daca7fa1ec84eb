package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// tries is how many ports Listen looks at where it may choose.
const tries = 100

// Listen opens the admin port. With move, a port that is taken makes it try the next ones.
func Listen(ctx context.Context, addr string, move bool) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if !move || !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	ap, parseErr := netip.ParseAddrPort(addr)
	if parseErr != nil {
		return nil, err
	}
	for i := 1; i < tries && errors.Is(err, syscall.EADDRINUSE) && int(ap.Port())+i <= 65535; i++ {
		next := net.JoinHostPort(ap.Addr().String(), strconv.Itoa(int(ap.Port())+i))
		l, err = c.Listen(ctx, "tcp", next)
	}
	return l, err
}

// Socket is where the admin HTTP of a child is found in the runtime folder.
func Socket(runtimeDir, child string) string {
	return filepath.Join(runtimeDir, child+".admin.sock")
}

// ListenSocket opens the admin socket of a child. One that an earlier incarnation left is replaced; the folder's owner
// removes the last one.
func ListenSocket(runtimeDir, child string) (net.Listener, error) {
	path := Socket(runtimeDir, child)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("admin: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	l.SetUnlinkOnClose(false) // in a reload the path is the successor's by then
	return l, nil
}
