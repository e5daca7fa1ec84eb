package router

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// proxyHeaderV2 is a version 2 header.
func proxyHeaderV2(command, family byte, rest ...byte) string {
	b := append([]byte(proxyV2), command, family, 0, 0)
	binary.BigEndian.PutUint16(b[14:], uint16(len(rest)))
	return string(append(b, rest...))
}

var (
	fromV4  = []byte{192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x34, 0x01, 0xbb}
	fromV6  = append(append(netip.MustParseAddr("2001:db8::7").AsSlice(), make([]byte, 16)...), 0x12, 0x34, 0x01, 0xbb)
	overTLS = []byte{proxySSL, 0, 5, 1, 0, 0, 0, 0}
)

// summed adds the CRC32c that makes a header sound.
func summed(header string) string {
	b := append([]byte(header), proxyCRC, 0, 4, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-proxyV2Head))
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

var proxyHeaders = []struct {
	name, text string
	want       string // address, "local", "none" or "bad"
	https      bool
}{
	{"v1", "PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\n", "192.0.2.7:4660", false},
	{"v1, IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 4660 443\r\n", "[2001:db8::7]:4660", false},
	{"v1, unknown", "PROXY UNKNOWN\r\n", "local", false},
	{"v1, unknown with words", "PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n", "local", false},
	{"v1, LF", "PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\n", "bad", false},
	{"v1, two blanks", "PROXY TCP4  192.0.2.7 198.51.100.1 4660 443\r\n", "bad", false},
	{"v1, one more word", "PROXY TCP4 192.0.2.7 198.51.100.1 4660 443 x\r\n", "bad", false},
	{"v1, wrong family", "PROXY TCP4 2001:db8::7 2001:db8::1 4660 443\r\n", "bad", false},
	{"v1, leading zero", "PROXY TCP4 192.0.2.7 198.51.100.1 04660 443\r\n", "bad", false},
	{"v1, octal", "PROXY TCP4 192.0.02.7 198.51.100.1 4660 443\r\n", "bad", false},
	{"v1, port too high", "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n", "bad", false},
	{"v1, signed port", "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n", "bad", false},
	{"v1, zone", "PROXY TCP6 fe80::1%eth0 2001:db8::1 4660 443\r\n", "bad", false},
	{"v1, no end", "PROXY TCP4 " + strings.Repeat("1", 120), "bad", false},
	{"v1, UDP", "PROXY UDP4 192.0.2.7 198.51.100.1 4660 443\r\n", "bad", false},
	{"v2", proxyHeaderV2(0x21, 0x11, fromV4...), "192.0.2.7:4660", false},
	{"v2, IPv6", proxyHeaderV2(0x21, 0x21, fromV6...), "[2001:db8::7]:4660", false},
	{"v2, over TLS", proxyHeaderV2(0x21, 0x11, append(fromV4[:12:12], overTLS...)...), "192.0.2.7:4660", true},
	{"v2, summed", summed(proxyHeaderV2(0x21, 0x11, fromV4...)), "192.0.2.7:4660", false},
	{"v2, wrong sum", proxyHeaderV2(0x21, 0x11, append(fromV4[:12:12], proxyCRC, 0, 4, 1, 2, 3, 4)...), "bad", false},
	{"v2, local", proxyHeaderV2(0x20, 0), "local", false},
	{"v2, local with addresses", proxyHeaderV2(0x20, 0x11, fromV4...), "local", false},
	{"v2, unspecified", proxyHeaderV2(0x21, 0), "local", false},
	{"v2, unix", proxyHeaderV2(0x21, 0x31, make([]byte, 216)...), "local", false},
	{"v2, UDP", proxyHeaderV2(0x21, 0x12, fromV4...), "local", false},
	{"v2, too short for its family", proxyHeaderV2(0x21, 0x11, fromV4[:11]...), "bad", false},
	{"v2, unknown family", proxyHeaderV2(0x21, 0x41, fromV4...), "bad", false},
	{"v2, unknown command", proxyHeaderV2(0x22, 0x11, fromV4...), "bad", false},
	{"v2, version 3", proxyHeaderV2(0x31, 0x11, fromV4...), "bad", false},
	{"v2, broken extra", proxyHeaderV2(0x21, 0x11, append(fromV4[:12:12], 4, 0, 9)...), "bad", false},
	{"v2, empty TLS extra", proxyHeaderV2(0x21, 0x11, append(fromV4[:12:12], proxySSL, 0, 0)...), "bad", false},
	{"v2, too long", proxyHeaderV2(0x21, 0x11, make([]byte, proxyMost)...), "bad", false},
	{"a request", "GET / HTTP/1.1\r\n", "none", false},
	{"almost", "PROXYTCP4 ", "none", false},
	{"TLS", "\x16\x03\x01", "none", false},
	{"an empty line", "\r\nGET / HTTP/1.1", "none", false},
}

// verdictOf is what parseProxy finds in all of b.
func verdictOf(b []byte) (string, client, int) {
	p, n, err := parseProxy(b)
	switch {
	case err == http1.ErrMore:
		return "more", p, n
	case err != nil:
		return "bad", p, n
	case n == 0:
		return "none", p, n
	case !p.addr.IsValid():
		return "local", p, n
	}
	return p.addr.String(), p, n
}

func TestProxyHeaders(t *testing.T) {
	for _, h := range proxyHeaders {
		got, p, n := verdictOf([]byte(h.text))
		if got != h.want || p.https != h.https {
			t.Errorf("%s: %s, https %v", h.name, got, p.https)
		}
		if got != "none" && got != "bad" && n != len(h.text) {
			t.Errorf("%s: %d bytes of %d", h.name, n, len(h.text))
		}
		for i := 1; i < len(h.text); i++ {
			if got, _, _ := verdictOf([]byte(h.text[:i])); got != "more" && got != h.want {
				t.Errorf("%s: %s after %d bytes", h.name, got, i)
			}
		}
	}
}

func TestProxyHeaderV2AllocatesNothing(t *testing.T) {
	b := []byte(summed(proxyHeaderV2(0x21, 0x21, append(fromV6[:len(fromV6):len(fromV6)], overTLS...)...)))
	if n := testing.AllocsPerRun(100, func() {
		if _, n, err := parseProxy(b); n != len(b) || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzProxyHeader(f *testing.F) {
	for _, h := range proxyHeaders {
		f.Add([]byte(h.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		p, n, err := parseProxy(b)
		switch {
		case n < 0 || n > len(b) || n > proxyMost:
			t.Fatalf("%d of %d bytes", n, len(b))
		case err != nil && (n != 0 || p != client{}):
			t.Fatal("something is believed of what is refused")
		case err == http1.ErrMore && len(b) >= proxyMost:
			t.Fatal("there is no end of asking")
		case err == nil && n > 0:
			again, k, err := parseProxy(append(bytes.Clone(b[:n]), "GET / HTTP/1.1\r\n"...))
			if again != p || k != n || err != nil {
				t.Fatal("what follows changes what a header says")
			}
		}
		var f *http1.Refusal
		if err != nil && err != http1.ErrMore && !errors.As(err, &f) {
			t.Fatal(err)
		}
	})
}

func trustingLoopback(cfg *Config) {
	cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.ProxyProtocol = true
}

func TestClientOfProxyHeader(t *testing.T) {
	h, _ := one(t, 1, trustingLoopback)
	worker := h.workers["wka0"]
	for _, header := range proxyHeaders {
		switch header.want {
		case "none", "bad":
			continue
		}
		c := dialTo(t, h.addr)
		c.send("%s", header.text)
		if resp, body := c.get("/app"); resp.StatusCode != 200 {
			t.Fatalf("%s: %s %s", header.name, resp.Status, body)
		}
		want, scheme := header.want, "http"
		if want == "local" {
			want = c.LocalAddr().String()
		}
		if header.https {
			scheme = "https"
		}
		got := worker.last().Header
		if got.Get("Sidereal-Client") != want || got.Get("Sidereal-Proto") != scheme || got.Get("X-Forwarded-Proto") != scheme {
			t.Errorf("%s: %v", header.name, got)
		}
		if addr := netip.MustParseAddrPort(want).Addr().String(); got.Get("X-Forwarded-For") != addr {
			t.Errorf("%s: X-Forwarded-For: %s", header.name, got.Get("X-Forwarded-For"))
		}
	}
}

// A header's client is as little believed as any other: its own X-Forwarded-For is worth nothing.
func TestClientOfProxyHeaderForgesNothing(t *testing.T) {
	h, _ := one(t, 1, trustingLoopback)
	c := dialTo(t, h.addr)
	c.send("PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\nGET /app HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
	c.answer("GET")
	if got := h.workers["wka0"].last().Header; got.Get("Sidereal-Client") != "192.0.2.7:4660" || got.Get("X-Forwarded-For") != "192.0.2.7" {
		t.Error(got)
	}
}

func TestPassedClientOfProxyHeader(t *testing.T) {
	h, _ := one(t, 1, trustingLoopback)
	c := dialTo(t, h.addr)
	c.send("%s", proxyHeaderV2(0x21, 0x11, fromV4...))
	resp := c.upgrade("")
	if resp.Header.Get("X-Kind") != "client" || resp.Header.Get("X-From") != "192.0.2.7:4660" {
		t.Error(resp.Header)
	}
	c.echoes("hello")
}

func TestProxyHeaderBeforeTLS(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		trustingLoopback(cfg)
		secured(t)(cfg)
	})
	for _, pieces := range []int{1, 7, 1000} {
		c := dialTo(t, h.addr)
		for header := proxyHeaderV2(0x21, 0x11, fromV4...); header != ""; {
			n := min(pieces, len(header))
			c.send("%s", header[:n])
			header = header[n:]
		}
		c.secure("x")
		c.get("/app")
		if got := h.workers["wka0"].last().Header; got.Get("Sidereal-Client") != "192.0.2.7:4660" || got.Get("Sidereal-Proto") != "https" {
			t.Error(got)
		}
	}
}

func TestProxyHeaderThatIsNoGood(t *testing.T) {
	h, _ := one(t, 1, trustingLoopback)
	for _, header := range proxyHeaders {
		c := dialTo(t, h.addr)
		switch header.want {
		case "bad":
			c.send("%s", header.text)
			c.ended()
		case "none":
			if header.name == "a request" {
				c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				if resp, body := c.answer("GET"); resp.StatusCode != 400 || !strings.Contains(body, "PROXY header missing") {
					t.Error(resp.Status, body)
				}
			}
		}
	}
	if counter(t, h.metrics.proxyErrors) == 0 {
		t.Error("nothing is counted")
	}
}

func TestProxyHeaderThatStops(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		trustingLoopback(cfg)
		cfg.HeadTimeout = 10 * time.Millisecond
	})
	c := dialTo(t, h.addr)
	c.send("PROXY TCP4 192.0.2.7")
	c.ended()
}

func TestProxyHeaderOfStrangers(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		trustingLoopback(cfg)
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	c := dialTo(t, h.addr)
	c.send("PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\nGET /app HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 505 { // a request line with an odd version
		t.Error(resp.Status)
	}
	if resp, _ := dialTo(t, h.addr).get("/app"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// Routers of other hosts may be in the balancers' network. They show a key, and need no header.
func TestRouterInTheProxiesNetwork(t *testing.T) {
	hosts := cluster(t, directory.NewStatic(), trustingLoopback, 1, 1)
	sid := hosts[1].workers["wkb0"].open()
	c := dialTo(t, hosts[0].addr)
	c.send("PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\nPOST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", sid)
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "ok" {
		t.Error(resp.Status, body)
	}
}
