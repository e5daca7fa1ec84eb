package engineio

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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

// A TLS client that reads nothing any more is cut without anybody waiting for it: the wheel pings
// on time.
func TestCuttingTLSHoldsNothingUp(t *testing.T) {
	issuer := httptest.NewTLSServer(nil)
	certificates := issuer.TLS.Certificates
	issuer.Close()
	synctest.Test(t, func(t *testing.T) {
		f := serve(t, Config{PingInterval: lingerTimeout + time.Second})
		p := newPipeListener()
		hs := &http.Server{Handler: f.srv}
		go hs.Serve(tls.NewListener(p, &tls.Config{Certificates: certificates}))
		defer hs.Close()
		plain := f.dial
		f.dial = func() net.Conn { return tls.Client(p.dial(), &tls.Config{InsecureSkipVerify: true}) }
		deaf := f.websocket("")
		f.dial = plain
		start := time.Now()
		c := f.websocket("")
		f.session().s.Close()
		if op, _ := deaf.next(); op != opClose {
			t.Errorf("opcode %d, want a close frame", op)
		}
		c.want("2")
		if d := time.Since(start); d != lingerTimeout+time.Second {
			t.Errorf("ping after %v, want %v", d, lingerTimeout+time.Second)
		}
	})
}
