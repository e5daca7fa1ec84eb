package router

import (
	"bufio"
	"io"
	"net"
	"testing"
)

// Trailers go with the body, as they came.
func TestTrailersStay(t *testing.T) {
	const body, answer = "5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n", "2\r\nok\r\n0\r\nX-Took: 1ms\r\n\r\n"
	got := make(chan string, 1)
	r, _ := scripted(t, func(c net.Conn, br *bufio.Reader) {
		for line := ""; line != "\r\n"; {
			line, _ = br.ReadString('\n')
		}
		b := make([]byte, len(body))
		io.ReadFull(br, b)
		got <- string(b)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+answer)
	})
	c := dialTo(t, r.addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n%s", body)
	if b := receive(t, got); b != body {
		t.Errorf("the worker reads %q", b)
	}
	resp, text := c.answer("POST")
	if text != "ok" || resp.Trailer.Get("X-Took") != "1ms" {
		t.Errorf("%q, trailer %v", text, resp.Trailer)
	}
}
