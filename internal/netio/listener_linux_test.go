package netio

import (
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// The connections are like those that package net would have accepted.
func TestAccepting(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		plain, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skip(err) // no IPv6
		}
		ln := Accepting(plain)
		defer ln.Close()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c, ok := nc.(*Conn)
		if !ok {
			t.Fatalf("accepted a %T", nc)
		}
		if c.RemoteAddr().String() != client.LocalAddr().String() || c.LocalAddr().String() != client.RemoteAddr().String() {
			t.Errorf("from %v to %v, want from %v to %v", c.RemoteAddr(), c.LocalAddr(), client.LocalAddr(), client.RemoteAddr())
		}
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			for name, o := range map[string][3]int{
				"no delay": {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, "keep alive": {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				"idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15}, "interval": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15}, "count": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
			} {
				if v, err := unix.GetsockoptInt(int(fd), o[0], o[1]); v != o[2] || err != nil {
					t.Errorf("%s: %d, %v, want %d", name, v, err, o[2])
				}
			}
		})
		go client.Write([]byte("hello"))
		b := make([]byte, 5)
		if _, err := io.ReadFull(nc, b); string(b) != "hello" {
			t.Errorf("read %q, %v", b, err)
		}
	}
}

func TestAcceptEndsWithClose(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := Accepting(plain)
	failed := make(chan error, 1)
	go func() {
		_, err := ln.Accept()
		failed <- err
	}()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

func TestAcceptingLeavesOthersAlone(t *testing.T) {
	type counting struct{ *net.TCPListener }
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	ln := net.Listener(counting{plain.(*net.TCPListener)})
	if Accepting(ln) != ln {
		t.Error("a listener of somebody's own was replaced")
	}
}
