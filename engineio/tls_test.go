package engineio

import (
	"bufio"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TLS is read and written as a stream, in both directions, and closes politely.
func TestWebSocketOverTLS(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	hs := httptest.NewUnstartedServer(f.srv)
	hs.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // a WebSocket needs HTTP/1
	hs.StartTLS()
	defer hs.Close()
	conn, err := tls.Dial("tcp", hs.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + wsHeaders + "\r\n")); err != nil {
		t.Fatal(err)
	}
	c := &wsClient{t: t, Conn: conn, r: bufio.NewReader(conn)}
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("handshake: %v, %v", resp, err)
	}
	c.next()
	r := f.session()
	if r.s.Request().TLS == nil {
		t.Error("the request does not tell of TLS")
	}
	long := "echo:" + strings.Repeat("x", 100_000)
	c.send("4" + long)
	c.want("4" + long)
	c.Write([]byte{0xff, 0xff})
	c.wantClose(1002)
	r.wantClosed(t, TransportError)
}
