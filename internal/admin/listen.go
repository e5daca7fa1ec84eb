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

// tries is the number of ports that Listen tries if it may choose.
const tries = 100

// Listen opens the admin port. With move, it tries the next ports if this one is taken.
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

// Socket returns the path of a child's admin socket in the runtime folder.
func Socket(runtimeDir, child string) string {
	return filepath.Join(runtimeDir, child+".admin.sock")
}

// SocketListener is the admin socket of a child. Publish gives it the child's name. Until then the
// name belongs to the earlier process, which still serves in a reload, and continues if this one
// never becomes ready.
type SocketListener struct {
	*net.UnixListener
	path string // published
}

// ListenSocket opens the admin socket of a child without publishing it. Close removes the file of
// an unpublished socket. A published one stays until its folder goes, because the name may be the
// successor's by then.
func ListenSocket(runtimeDir, child string) (*SocketListener, error) {
	own := filepath.Join(runtimeDir, fmt.Sprintf("%s.%d", child, os.Getpid()))
	if err := os.Remove(own); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("admin: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: own, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return &SocketListener{l, Socket(runtimeDir, child)}, nil
}

// Publish gives the socket the child's name and takes it from its predecessor.
func (l *SocketListener) Publish() error {
	if err := os.Rename(l.Addr().String(), l.path); err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	l.SetUnlinkOnClose(false) // another socket may have this one's old name
	return nil
}
