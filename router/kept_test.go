package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// unsolicited is a response that nobody asked for.
const unsolicited = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

// talkative serves "/" properly, and sends what nobody asked for after the answer to "/more".
type talkative struct {
	more chan struct{} // it may be sent
	sent chan struct{} // it was
}

func newTalkative() *talkative {
	return &talkative{more: make(chan struct{}), sent: make(chan struct{})}
}

func (s *talkative) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/more" {
		io.WriteString(rw, "served "+r.URL.Path)
		return
	}
	c, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	<-s.more
	io.WriteString(c, unsolicited)
	s.sent <- struct{}{}
	io.Copy(io.Discard, c) // until the router has had enough
}

// check has the router keep a connection, on which there is more than it asked for.
func (s *talkative) check(t *testing.T, c *testClient) {
	t.Helper()
	if _, body := c.get("/more"); body != "ok" {
		t.Fatalf("%q", body)
	}
	s.more <- struct{}{}
	<-s.sent
	for i := range 3 {
		target := "/" + strconv.Itoa(i)
		if resp, body := c.get(target); resp.StatusCode != 200 || body != "served "+target {
			t.Errorf("%s %q, want the answer to %s", resp.Status, body, target)
		}
	}
}

// A kept connection on which a worker has said something by itself serves no request: its words
// would be taken for the next client's answer.
func TestUnsolicitedBytesAreNobodysAnswer(t *testing.T) {
	t.Run("of this host", func(t *testing.T) {
		s := newTalkative()
		h, _ := one(t, 1, nil)
		h.workers["wka0"].becomes(s.ServeHTTP)
		s.check(t, dialTo(t, h.addr))
	})
	t.Run("of another host", func(t *testing.T) {
		s := newTalkative()
		hosts := cluster(t, directory.NewStatic(), nil, 0, 1)
		hosts[1].workers["wkb0"].becomes(s.ServeHTTP)
		s.check(t, dialTo(t, hosts[0].addr))
	})
	t.Run("of another host, over TLS", func(t *testing.T) {
		s := newTalkative()
		d := directory.NewStatic()
		hosts := cluster(t, d, secured(t), 0, 1)
		behindDoors(d)
		hosts[1].workers["wkb0"].becomes(s.ServeHTTP)
		s.check(t, secureTo(t, hosts[0].addr, "x"))
	})
	t.Run("listed", func(t *testing.T) {
		s := newTalkative()
		servers, list := startUpstreams(t, 1)
		servers[0].becomes(s.ServeHTTP)
		r, d := listed(t, directory.UpstreamConfig{List: list})
		awaitReady(t, d, 1)
		s.check(t, dialTo(t, r.addr))
	})
}

// corked keeps what is written until it may go.
type corked struct {
	net.Conn
	mu     sync.Mutex
	closed bool
	kept   bytes.Buffer
}

func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.kept.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *corked) cork(closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed = closed; !closed {
		c.Conn.Write(c.kept.Bytes())
		c.kept.Reset()
	}
}

// A record that TLS has read already doesn't show on its socket any more.
func TestUnsolicitedRecordIsNobodysAnswer(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	pair, roots := borrowed.TLS.Certificates[0], x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	borrowed.Close()
	ln := loopback(t)
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		ln.Close()
		serving.Wait()
	})
	serve := func(nc net.Conn) {
		defer nc.Close()
		defer context.AfterFunc(ctx, func() { nc.Close() })()
		c := &corked{Conn: nc}
		tc := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
		b := make([]byte, 4096)
		for {
			n, err := tc.Read(b) // heads of routers come in one piece
			if err != nil {
				return
			}
			path, _, _ := bytes.Cut(b[len("GET "):n], []byte(" "))
			body := "served " + string(path)
			c.cork(true)
			fmt.Fprintf(tc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			if string(path) == "/more" {
				io.WriteString(tc, unsolicited)
			}
			c.cork(false)
		}
	}
	serving.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(nc) })
		}
	})
	r, d := listed(t, directory.UpstreamConfig{List: "https://" + ln.Addr().String(), RootCAs: roots})
	awaitReady(t, d, 1)
	c := dialTo(t, r.addr)
	for _, target := range []string{"/more", "/next", "/more", "/last"} {
		if resp, body := c.get(target); resp.StatusCode != 200 || body != "served "+target {
			t.Errorf("%s %q, want the answer to %s", resp.Status, body, target)
		}
	}
}
