package router

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// redirecting starts a router with a certificate that serves nothing but a redirecting listener.
func startRedirecting(t *testing.T, port int) string {
	t.Helper()
	r, err := New(Config{
		Directory: directory.NewStatic(), RedirectPort: port,
		Certificates: openPairs(t, writePair(t, t.TempDir(), "a.example", "*.b.example")),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln := loopback(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Serve(ctx, Redirecting(ln)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

func TestRedirect(t *testing.T) {
	addr := startRedirecting(t, 0)
	for _, test := range []struct{ target, host, want string }{
		{"/chat?room=1", "a.example", "https://a.example/chat?room=1"},
		{"/", "A.Example:80", "https://A.Example/"},
		{"//evil.example/%0d%0a", "x.b.example:8080", "https://x.b.example//evil.example/%0d%0a"},
		{"http://a.example:80/page", "ignored", "https://a.example/page"},
		{"http://a.example?x=/", "ignored", "https://a.example/?x=/"},
		{"/", "evil.example", ""},
		{"/", "b.example", ""}, // the wildcard is for names below it
		{"/", "", ""},
		{"/", "a.example@evil.example", ""},
		{"http://evil.example/", "a.example", ""},
		{"http://a.example@evil.example/", "a.example", ""},
		{"/", "127.0.0.1", ""},
		{"/", "[::1]:80", ""},
	} {
		c := dialTo(t, addr)
		c.send("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", test.target, test.host)
		resp, _ := c.answer("GET")
		if got := resp.Header.Get("Location"); got != test.want || test.want != "" && resp.StatusCode != 308 || test.want == "" && resp.StatusCode != 400 {
			t.Errorf("%s of %s: %s, %q", test.target, test.host, resp.Status, got)
		}
	}
}

func TestRedirectElsewhere(t *testing.T) {
	addr := startRedirecting(t, 8443)
	c := dialTo(t, addr)
	c.send("POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nSidereal-Key: x\r\n\r\nabc")
	if resp, _ := c.answer("POST"); resp.StatusCode != 308 || resp.Header.Get("Location") != "https://a.example:8443/socket.io/?EIO=4&transport=polling&sid=x" {
		t.Error(resp.Status, resp.Header)
	}
	for _, odd := range []string{"\x16\x03\x01\x00\x05hello\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n"} {
		c := dialTo(t, addr)
		c.send("%s", odd)
		if resp, _ := c.answer("GET"); resp.StatusCode != 400 {
			t.Errorf("%q: %s", odd, resp.Status)
		}
	}
}

// No request makes a field of its own in what we answer.
func FuzzRedirect(f *testing.F) {
	certs := openPairs(f, writePair(f, f.TempDir(), "*.example", "a.example"))
	r, err := New(Config{Directory: directory.NewStatic(), Certificates: certs})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/x", "a.example")
	f.Add("http://a.example:1/\r\nSet-Cookie: a=b", "a.example\r\nX: y")
	f.Fuzz(func(t *testing.T, target, host string) {
		b := []byte("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
		x := &exchange{c: &conn{r: r}}
		n, err := x.req.head.ParseRequest(b, 0)
		if err != nil || n != len(b) || x.req.understand(b) != nil {
			return
		}
		ours, theirs := net.Pipe()
		defer theirs.Close()
		x.c.Init(ours, writeTimeout)
		go func() {
			x.redirect(b)
			ours.Close()
		}()
		answer := new(strings.Builder)
		p := make([]byte, 4096)
		for k, err := theirs.Read(p); err == nil; k, err = theirs.Read(p) {
			answer.Write(p[:k])
		}
		var h http1.Head
		if _, err := h.ParseResponse([]byte(answer.String()), 0); err != nil || len(h.Fields()) > 5 {
			t.Fatalf("%q: %v", answer, err)
		}
	})
}
