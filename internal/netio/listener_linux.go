package netio

import (
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The options that package net sets on each connection that it accepts.
const (
	keepAlive      = 15 * time.Second
	keepAliveCount = 9
)

// listener accepts with one system call for each connection, where net.TCPListener takes seven:
// what that sets on each connection is set on the listening socket, from which the kernel gives it
// to all, and addresses are not asked for.
type listener struct {
	addr net.Addr
	file *os.File // package net lets nobody wait for its own
	raw  syscall.RawConn
}

// Accepting takes ln over and makes connections that cost less to accept, *Conn, if ln is a plain
// *net.TCPListener; else it is ln.
func Accepting(ln net.Listener) net.Listener {
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return ln
	}
	file, err := tcp.File()
	if err != nil {
		return ln
	}
	raw, err := file.SyscallConn()
	if err == nil {
		if cerr := raw.Control(func(fd uintptr) { err = inherit(int(fd)) }); cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		file.Close()
		return ln
	}
	addr := ln.Addr()
	ln.Close() // file is the socket now
	return &listener{addr, file, raw}
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) Close() error {
	if err := l.file.Close(); err != nil {
		return &net.OpError{Op: "close", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	return nil
}

// inherit sets what connections are to have.
func inherit(fd int) error {
	for _, o := range []struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(keepAlive / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(keepAlive / time.Second)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

func (l *listener) Accept() (net.Conn, error) {
	var a struct { // one allocation
		fd   int
		from unix.RawSockaddrAny
		err  error
	}
	cerr := l.raw.Read(func(ln uintptr) bool {
		for {
			a.fd, a.err = accept(int(ln), &a.from)
			if a.err != syscall.EINTR && a.err != syscall.ECONNABORTED {
				return a.err != syscall.EAGAIN
			}
		}
	})
	switch {
	case cerr != nil:
		a.err = net.ErrClosed
	case a.err != nil:
		a.err = os.NewSyscallError("accept4", a.err)
	}
	if a.err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: a.err}
	}
	return &Conn{f: os.NewFile(uintptr(a.fd), "socket"), remote: peer(&a.from)}, nil
}

func accept(ln int, from *unix.RawSockaddrAny) (int, error) {
	size := uint32(unsafe.Sizeof(*from))
	fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(ln), uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// peer reads the address that accept was given.
func peer(from *unix.RawSockaddrAny) net.Addr {
	switch from.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
		return tcpAddrOf(in.Addr[:], port(&in.Port), "")
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(from))
		return tcpAddrOf(in.Addr[:], port(&in.Port), zone(in.Scope_id))
	}
	return &net.TCPAddr{}
}

// tcpAddrOf copies ip. The address is one allocation.
func tcpAddrOf(ip []byte, port int, zone string) *net.TCPAddr {
	a := new(struct {
		net.TCPAddr
		ip [net.IPv6len]byte
	})
	a.TCPAddr = net.TCPAddr{IP: a.ip[:copy(a.ip[:], ip)], Port: port, Zone: zone}
	return &a.TCPAddr
}

// port reads a port in network order.
func port(p *uint16) int {
	b := (*[2]byte)(unsafe.Pointer(p))
	return int(b[0])<<8 | int(b[1])
}

func zone(id uint32) string {
	if id == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return ""
}

func tcpAddr(name unix.Sockaddr) net.Addr {
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone(a.ZoneId)}
	}
	return &net.TCPAddr{}
}
