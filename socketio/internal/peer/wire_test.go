package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// onWire runs a test with the ends of a wire.
func onWire(t *testing.T, test func(t *testing.T, w *wire, client, server *wireConn)) {
	synctest.Test(t, func(t *testing.T) {
		w, client, server := newWire(0)
		test(t, w, client, server)
		client.Close()
		server.Close()
		if !w.over() {
			t.Error("the wire isn't over after both ends have closed")
		}
	})
}

func want(t *testing.T, c net.Conn, text string, end error) {
	t.Helper()
	b := make([]byte, 100)
	n, err := io.ReadAtLeast(c, b, max(len(text), 1))
	if string(b[:n]) != text || !errors.Is(err, end) {
		t.Errorf("read %q, %v; want %q, %v", b[:n], err, text, end)
	}
}

func TestWireEndsBehindItsBytes(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, client, server *wireConn) {
		for _, text := range []string{"a", "bc", "d"} {
			if n, err := client.Write([]byte(text)); n != len(text) || err != nil { // nobody reads yet
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		client.Close()
		want(t, server, "abcd", nil)
		want(t, server, "", io.EOF)
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("wrote to a closed end: %v", err)
		}
		if _, err := client.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("wrote after Close: %v", err)
		}
		want(t, client, "", net.ErrClosed)
	})
}

func TestWireIsFullWithoutAReader(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, client, server *wireConn) {
		long := strings.Repeat("x", wireBuffer+100)
		if n, err := client.WriteNow([]byte(long)); n != wireBuffer || err != nil {
			t.Errorf("WriteNow wrote %d, %v", n, err)
		}
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := client.Write([]byte("y")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v, want a timeout", n, err)
		}
		client.SetWriteDeadline(time.Time{})
		var writing sync.WaitGroup
		writing.Go(func() { client.Write([]byte(long)); client.CloseWrite() })
		all, err := io.ReadAll(server)
		writing.Wait()
		if len(all) != wireBuffer+len(long) || err != nil {
			t.Errorf("read %d bytes, %v", len(all), err)
		}
	})
}

func TestWireDelays(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, client, server *wireConn) {
		start := time.Now()
		w.slow(time.Second)
		client.Write([]byte("a"))
		server.SetReadDeadline(start.Add(time.Millisecond))
		want(t, server, "", os.ErrDeadlineExceeded)
		server.SetReadDeadline(time.Time{})
		want(t, server, "a", nil)
		server.Write([]byte("b"))
		want(t, client, "b", nil)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("there and back in %v", took)
		}
	})
}

func TestWireHoldsAndBreaks(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire, client, server *wireConn) {
		w.hold(true)
		client.Write([]byte("a"))
		server.SetReadDeadline(time.Now().Add(time.Hour))
		want(t, server, "", os.ErrDeadlineExceeded)
		server.SetReadDeadline(time.Time{})
		w.hold(false)
		want(t, server, "a", nil)
		w.hold(true)
		client.Write([]byte("lost"))
		w.cut()
		w.hold(false)
		want(t, server, "", syscall.ECONNRESET)
		if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("wrote to a broken wire: %v", err)
		}
	})
}
