package redisconn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// sockets are the two ends of a connection.
func sockets(t *testing.T) (ours net.Conn, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return quiet(ours), theirs
}

func TestSocketWaitsForRoomAndForBytes(t *testing.T) {
	ours, theirs := sockets(t)
	if _, ok := ours.(*socket); !ok {
		t.Fatalf("%T", ours)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), rawBytes/16)
	const times = 400 // more than the kernel keeps
	written := make(chan error, 1)
	go func() {
		for range times {
			if n, err := ours.Write(sent); n != len(sent) || err != nil {
				written <- errors.Join(err, io.ErrShortWrite)
				return
			}
		}
		written <- nil
	}()
	got := make([]byte, len(sent))
	for range times {
		if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%v, or other bytes", err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}

	go func() { _, _ = theirs.Write(bytes.Repeat(sent, 2)) }()
	for range 2 {
		if _, err := io.ReadFull(ours, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%v, or other bytes", err)
		}
	}
	theirs.Close()
	if n, err := ours.Read(got); n != 0 || err != io.EOF {
		t.Errorf("at the end %d, %v", n, err)
	}
}

func TestSocketHasDeadlines(t *testing.T) {
	ours, _ := sockets(t)
	if err := ours.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", err)
	}
	ours.Close()
	if _, err := ours.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestClientSeesTheEndOfASocket: it asks the connections of its pool, and is asked only about those
// that are not silent.
func TestClientSeesTheEndOfASocket(t *testing.T) {
	ours, theirs := sockets(t)
	raw, err := ours.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	look := func() {
		t.Helper()
		if err := raw.Read(func(uintptr) bool { asked++; return true }); err != nil {
			t.Fatal(err)
		}
	}
	if look(); asked != 0 {
		t.Error("asked about a silent one")
	}
	if err := theirs.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(ours); err != nil { // by then it has come
		t.Fatal(err)
	}
	if look(); asked != 1 {
		t.Errorf("asked %d times about one that has ended", asked)
	}
}
