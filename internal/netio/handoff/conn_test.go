package handoff

import (
	"io"
	"net"
	"testing"
)

// Bytes that are put back are read before the others, and count as buffered.
func TestUnread(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	c := newConn(b, Meta{Kind: Local, Head: []byte("first second")})
	buf := make([]byte, 6)
	if n, err := c.Read(buf); string(buf[:n]) != "first " || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	c.Unread(buf)
	if c.Buffered() != len("first second") {
		t.Errorf("%d bytes buffered", c.Buffered())
	}
	go func() {
		io.WriteString(a, " third")
		a.Close()
	}()
	if text, err := io.ReadAll(c); string(text) != "first second third" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}
