package router

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/netio/http1/http1test"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// writePair makes a certificate for the names and puts it into dir.
func writePair(t testing.TB, dir string, names ...string) KeyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	c := &x509.Certificate{SerialNumber: serial, DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p := KeyPair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	writeFile(t, p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	writeFile(t, p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	return p
}

func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func openPairs(t testing.TB, pairs ...KeyPair) *Certificates {
	t.Helper()
	c, err := OpenCertificates(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// secured gives a host's router a certificate.
func secured(t testing.TB) func(*Config) {
	return func(cfg *Config) { cfg.Certificates = openPairs(t, writePair(t, t.TempDir(), "x")) }
}

// behindDoors marks the workers as what other hosts reach through their router.
func behindDoors(d *directory.Static) {
	var all []directory.Worker
	for _, w := range d.Workers().All() {
		w := *w
		w.Handoff = w.ID + ".sock"
		all = append(all, w)
	}
	d.Set(all...)
}

func secureTo(t testing.TB, addr, name string) *testClient {
	t.Helper()
	c := dialTo(t, addr)
	c.secure(name)
	return c
}

// secure goes on over TLS.
func (c *testClient) secure(name string) {
	c.t.Helper()
	c.over = tls.Client(c.TCPConn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.over.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.br = bufio.NewReader(c.over)
}

func (c *testClient) shown() string {
	return strings.Join(c.over.ConnectionState().PeerCertificates[0].DNSNames, " ")
}

func TestCertificateByServerName(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		cfg.Certificates = openPairs(t, writePair(t, t.TempDir(), "a.example"), writePair(t, t.TempDir(), "b.example", "*.b.example"))
	})
	for asked, want := range map[string]string{
		"a.example": "a.example", "b.example": "b.example *.b.example", "x.b.example": "b.example *.b.example", "other": "a.example", "": "a.example",
	} {
		c := secureTo(t, h.addr, asked)
		if got := c.shown(); got != want {
			t.Errorf("%q is shown %q, want %q", asked, got, want)
		}
		if resp, _ := c.get("/app"); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	}
	old, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	if err == nil {
		old.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

func TestProtocolOverTLS(t *testing.T) {
	for _, test := range []struct {
		h1Only  bool
		offered []string
		want    string
	}{
		{false, []string{"h2", "http/1.1"}, "h2"}, {false, []string{"http/1.1"}, "http/1.1"}, {false, nil, ""},
		{true, []string{"h2", "http/1.1"}, "http/1.1"}, {true, nil, ""},
	} {
		h, _ := one(t, 1, func(cfg *Config) {
			secured(t)(cfg)
			cfg.HTTP1Only = test.h1Only
		})
		c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: test.offered})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().NegotiatedProtocol; got != test.want {
			t.Errorf("offered %v, HTTP/1 only %v: %q", test.offered, test.h1Only, got)
		}
		c.Close()
	}
}

// A session through a door with TLS, at a worker of its host and of another.
func TestSessionOverTLS(t *testing.T) {
	before := fds(t)
	for _, owner := range []string{"wka0", "wkb0"} {
		t.Run(owner, func(t *testing.T) {
			d := directory.NewStatic()
			hosts := cluster(t, d, secured(t), 1, 1)
			behindDoors(d)
			w := hosts[owner[2]-'a'].workers[owner]
			sid := w.open()
			q := "/socket.io/?EIO=4&transport=polling&sid=" + sid
			c := secureTo(t, hosts[0].addr, "x")
			for range 3 {
				c.send("POST %s HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: http\r\nContent-Length: 5\r\n\r\nhello", q)
				if _, body := c.answer("POST"); body != "ok" {
					t.Fatal(body)
				}
				if _, body := c.get(q); body != owner+" got 5" {
					t.Fatal(body)
				}
			}
			r := w.last()
			if r.Header.Get("X-Forwarded-Proto") != "https" || r.Header.Get("Sidereal-Proto") != "https" || r.Header.Get("Sidereal-Key") != "" ||
				r.Header.Get("Sidereal-Client") != c.LocalAddr().String() || len(r.Header["Sidereal-Client"]) != 1 {
				t.Errorf("%v", r.Header)
			}
			if w.count("peer") != 0 {
				t.Error("a connection was given away that is not plain")
			}
			// Large, both ways.
			big := strings.Repeat("x", 1<<20)
			c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", q, len(big), big)
			if _, body := c.answer("POST"); body != "ok" {
				t.Fatal(body)
			}
			ws := secureTo(t, hosts[0].addr, "x")
			if resp := ws.upgrade("&sid=" + sid); resp.StatusCode != 101 || resp.Header.Get("X-Worker") != owner {
				t.Fatal(resp.Status, resp.Header)
			}
			ws.echoes("over TLS")
			ws.echoes(big)
			if n := counter(t, hosts[0].metrics.relayed); n != 1 {
				t.Errorf("%v relays", n)
			}
			ws.over.CloseWrite() // the end comes back from the worker
			ws.ended()
			testkit.Until(t, "the relay has ended", func() bool { return counter(t, hosts[0].metrics.relayed) == 0 })
		})
	}
	testkit.Until(t, "no descriptor is left", func() bool { return fds(t) <= before+2 })
}

func TestHandshakesAreBalancedOverTLS(t *testing.T) {
	d := directory.NewStatic()
	withTLS := secured(t)
	hosts := cluster(t, d, func(cfg *Config) {
		withTLS(cfg)
		cfg.BalanceSlack = -1
	}, 1, 1)
	behindDoors(d)
	at := map[string]int{}
	c := secureTo(t, hosts[0].addr, "x")
	for range 20 {
		sid := c.handshake()
		at[sid[:4]]++
	}
	if len(at) != 2 {
		t.Errorf("opened at %v", at)
	}
}

// A poll's client that leaves is noticed below TLS.
func TestClientLeavesPollOverTLS(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	w := h.workers["wka0"]
	c := secureTo(t, h.addr, "x")
	sid := c.handshake()
	c.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
	receive(t, w.polling)
	c.Close()
	if got := receive(t, w.polled); got != sid {
		t.Error(got)
	}
}

func TestHeadsRefusedOverTLS(t *testing.T) {
	h, _ := one(t, 1, secured(t))
	for name, r := range http1test.RefusedHeads {
		t.Run(name, func(t *testing.T) {
			c := secureTo(t, h.addr, "x")
			go io.WriteString(c.over, r.Raw+"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n") // longer than what is read, some of them
			resp, _ := c.answer("GET")
			if resp.StatusCode != r.Status || !resp.Close {
				t.Errorf("%s, close %v, want %d", resp.Status, resp.Close, r.Status)
			}
			c.over.CloseWrite()
			if b, _ := io.ReadAll(c.br); len(b) > 0 {
				t.Errorf("and then %q", b)
			}
		})
	}
	if r := h.workers["wka0"].last(); r != nil {
		t.Errorf("the worker got %s %s", r.Method, r.RequestURI)
	}
}

// Where TLS is spoken plain text is for other routers, which show the key.
func TestPlainTextAtDoorWithTLS(t *testing.T) {
	d := directory.NewStatic()
	turn := 0
	hosts := cluster(t, d, func(cfg *Config) {
		if turn++; turn == 2 { // host b
			secured(t)(cfg)
		}
	}, 1, 1)
	behindDoors(d)
	c := dialTo(t, hosts[1].addr)
	if resp, _ := c.get("/app"); resp.StatusCode != 400 {
		t.Error(resp.Status)
	}
	c.ended()
	sid := hosts[1].workers["wkb0"].open()
	c = dialTo(t, hosts[0].addr)
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", sid)
	if _, body := c.answer("POST"); body != "ok" || hosts[1].workers["wkb0"].count("peer") != 1 {
		t.Error(body)
	}
	// The other way the plain door answers TLS, under the name that routers use and no other.
	sid = hosts[0].workers["wka0"].open()
	c = secureTo(t, hosts[1].addr, "x")
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", sid)
	if resp, body := c.answer("POST"); body != "ok" {
		t.Error(resp.Status, body)
	}
	if _, err := tls.Dial("tcp", hosts[0].addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a door without a certificate speaks TLS to clients")
	}
	c = secureTo(t, hosts[0].addr, doorName)
	if resp, _ := c.get("/app"); resp.StatusCode != 400 {
		t.Errorf("a client under the routers' name: %s", resp.Status)
	}
	c = secureTo(t, hosts[0].addr, doorName)
	c.send("GET /app HTTP/1.1\r\nHost: x\r\nSidereal-Worker: wka0\r\nSidereal-Key: guess\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 403 {
		t.Errorf("with a wrong key: %s", resp.Status)
	}
}

// A door that is not made of our key hears nothing from us: neither the key nor a request.
func TestKeyIsNotShownToAForeignDoor(t *testing.T) {
	heard := make(chan string, 4)
	ln := loopback(t)
	defer ln.Close()
	other, err := newDoorKey("another secret")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(tls.Server(c, other.server))
			heard <- string(b)
			c.Close()
		}
	}()
	h, d := one(t, 1, secured(t))
	d.Set(directory.Worker{ID: "wkz0", Host: "z", Addr: ln.Addr().String(), Handoff: "z", Tags: true})
	c := secureTo(t, h.addr, "x")
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", directory.MintSID("wkz0"))
	if resp, _ := c.answer("POST"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	if b := receive(t, heard); b != "" {
		t.Errorf("it heard %q", b)
	}
	if n := counter(t, h.metrics.upstream.WithLabelValues("key")); n < 1 {
		t.Error("not counted")
	}
}

// A worker that dies behind another host's door is known to be gone, as over plain connections.
func TestKilledWorkerBehindTLS(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, secured(t), 1, 1)
	behindDoors(d)
	w := hosts[1].workers["wkb0"]
	q := "/socket.io/?transport=polling&sid=" + w.open()
	c := secureTo(t, hosts[0].addr, "x")
	c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", q)
	c.answer("POST")
	w.kill()
	if resp, body := c.get(q); resp.StatusCode != 400 || !strings.Contains(body, "wka0") {
		t.Error(resp.Status, body)
	}
}

// A 421 is the app's own, unless the door says that it is the door's; an app cannot say so.
func TestMisdirectedByTheAppBehindTLS(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, secured(t), 0, 1)
	behindDoors(d)
	c := secureTo(t, hosts[0].addr, "x")
	c.get("/app")
	hosts[1].workers["wkb0"].answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Sidereal-Worker", "gone")
		w.WriteHeader(421)
	})
	if resp, _ := c.get("/app"); resp.StatusCode != 421 || resp.Header.Get("Sidereal-Worker") != "" {
		t.Error(resp.Status, resp.Header)
	}
	if d.Workers().Get("wkb0") == nil {
		t.Error("the app has its worker forgotten")
	}
}

// lines is a log whose lines can be waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("certificates")) {
		l <- string(p)
	}
	return len(p), nil
}

// Kubernetes turns ..data to another folder; the files that were named stay links. Whoever is
// connected notices nothing.
func TestCertificatesAreReloaded(t *testing.T) {
	mount := t.TempDir()
	version := func(n int, names ...string) {
		dir := filepath.Join(mount, fmt.Sprintf("..%d", n))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writePair(t, dir, names...)
		if n == 3 {
			writeFile(t, filepath.Join(dir, "tls.key"), []byte("no key"))
		}
		tmp := filepath.Join(mount, "..tmp")
		if err := os.Symlink(filepath.Base(dir), tmp); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version(1, "first")
	pair := KeyPair{filepath.Join(mount, "tls.crt"), filepath.Join(mount, "tls.key")}
	for _, name := range []string{pair.Cert, pair.Key} {
		if err := os.Symlink("..data/"+filepath.Base(name), name); err != nil {
			t.Fatal(err)
		}
	}
	log := make(lines, 16)
	h, _ := one(t, 1, func(cfg *Config) {
		cfg.Certificates = openPairs(t, pair)
		cfg.Log = slog.New(loghandler.New(log, slog.LevelDebug))
	})
	shows := func(want string) {
		t.Helper()
		if got := secureTo(t, h.addr, "first").shown(); got != want {
			t.Errorf("shows %q, want %q", got, want)
		}
	}
	kept := secureTo(t, h.addr, "first")
	ws := secureTo(t, h.addr, "first")
	ws.upgrade("")
	version(2, "second")
	if line := receive(t, log); !strings.Contains(line, "certificates changed") {
		t.Error(line)
	}
	shows("second")
	version(3, "third") // whose key is broken
	if line := receive(t, log); !strings.Contains(line, `"level":"error"`) || !strings.Contains(line, pair.Cert) {
		t.Error(line)
	}
	shows("second")
	h.ReloadCertificates() // says it once
	version(4, "fourth")
	if line := receive(t, log); !strings.Contains(line, "certificates changed") {
		t.Error(line)
	}
	shows("fourth")
	if resp, _ := kept.get("/app"); resp.StatusCode != 200 || kept.shown() != "first" {
		t.Error(resp.Status)
	}
	ws.echoes("still here")
}

// New connections and a reload at a time: none fails.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	pair := writePair(t, dir, "x")
	h, _ := one(t, 1, func(cfg *Config) { cfg.Certificates = openPairs(t, pair) })
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(c, "GET /app HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				if b, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.1 200")) {
					t.Errorf("%q, %v", b, err)
				}
				c.Close()
			}
		})
	}
	for range 10 {
		writePair(t, dir, "x") // in two writes: what is read between them is no pair
		h.ReloadCertificates()
	}
	close(stop)
	all.Wait()
}

func TestCertificatesThatAreNoGood(t *testing.T) {
	if _, err := OpenCertificates(); err == nil {
		t.Error("none is enough")
	}
	a, b := writePair(t, t.TempDir(), "a"), writePair(t, t.TempDir(), "b")
	for _, p := range []KeyPair{{a.Cert, b.Key}, {a.Key, a.Cert}, {a.Cert, "/nowhere"}} {
		if _, err := OpenCertificates(b, p); err == nil || !strings.Contains(err.Error(), p.Key) {
			t.Errorf("%v: %v", p, err)
		}
	}
}

// The router lets go of a client that doesn't go on with its TLS handshake, or sends anything else.
func TestBrokenTLSHandshakes(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.HeadTimeout = 50 * time.Millisecond
	})
	for _, bytes := range []string{"\x16", "\x16\x03\x01\x02\x00\x01", "\x16\x03\x01\x00\x05hello", "\x16\xff\xff\xff\xffxxxxxxxx"} {
		c := dialTo(t, h.addr)
		c.send("%s", bytes)
		io.Copy(io.Discard, c.br) // an alert, for some
	}
	testkit.Until(t, "nothing is left", func() bool { return h.Connections() == 0 })
	if n := counter(t, h.metrics.tlsErrors); n != 4 {
		t.Errorf("%v counted", n)
	}
}

// TestSecretIsNotShownInPlainText: who encrypts what clients say does not send what doors' keys are
// made of in plain text. A worker that stands alone is shown a key that is good for itself only;
// whether one stands alone its record has to say.
func TestSecretIsNotShownInPlainText(t *testing.T) {
	d := directory.NewStatic()
	alone := loopback(t)
	defer alone.Close()
	d.Set(directory.Worker{ID: "alone", Host: "b", Addr: alone.Addr().String()})
	secret, _ := d.Secret(t.Context())
	r := startRouter(t, loopback(t), func() (cfg Config) {
		cfg = Config{Directory: d, HostName: "a"}
		secured(t)(&cfg)
		return cfg
	}())
	hear := func() string {
		c := secureTo(t, r.addr, "x")
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		nc, err := alone.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		b := make([]byte, 1<<16)
		n, _ := nc.Read(b)                                                                      // the head, or a hello, comes in one piece
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") // else it is knocked at
		c.answer("GET")
		return string(b[:n])
	}
	if heard := hear(); strings.Contains(heard, secret) || !strings.Contains(heard, "Sidereal-Key: "+directory.WorkerKey(secret, "alone")+"\r\n") {
		t.Errorf("the worker heard %q", heard)
	}
	b := r.workers.of(d.Workers().Get("alone"))
	knocked := make(chan struct{})
	go func() {
		defer close(knocked)
		b.knock(t.Context())
	}()
	nc, err := alone.Accept()
	if err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1<<16)
	if n, _ := nc.Read(head); strings.Contains(string(head[:n]), secret) {
		t.Errorf("knocking, it says %q", head[:n])
	}
	nc.Close()
	<-knocked
	d.Set() // its record has gone, and a request for it is on its way
	dialed := make(chan struct{})
	go func() {
		defer close(dialed)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if u, err := b.dial(ctx); err == nil {
			u.close()
			t.Error("spoken to in plain text")
		}
	}()
	if nc, err = alone.Accept(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if nc.Read(first); first[0] != recordHandshake {
		t.Errorf("it heard %q", first)
	}
	nc.Close()
	<-dialed
}

// Somebody learns that a folder can't be watched, once: its certificates are noticed a minute late.
func TestUnwatchedCertificatesAreSaidOnce(t *testing.T) {
	c := &Certificates{pairs: []KeyPair{{Cert: "/one/tls.crt", Key: "/two/tls.key"}, {Cert: "/one/b.crt", Key: "/one/b.key"}}}
	var text bytes.Buffer
	log := slog.New(loghandler.New(&text, slog.LevelDebug))
	full := errors.New("no space left on device")
	added := map[string]int{}
	add := func(folder string) error {
		added[folder]++
		if folder == "/two" {
			return full
		}
		return nil
	}
	said := c.follow(add, log, "")
	said = c.follow(add, log, said)
	if got := text.String(); strings.Count(got, "/two: no space left") != 1 || strings.Contains(got, "/one") || strings.Count(got, "\n") != 1 {
		t.Errorf("logged %q", got)
	}
	if added["/one"] != 2 || added["/two"] != 2 || len(added) != 2 {
		t.Errorf("added %v", added)
	}
	full = nil
	if said = c.follow(add, log, said); said != "" {
		t.Errorf("remembers %q", said)
	}
	full = errors.New("no space left on device")
	if c.follow(add, log, said); strings.Count(text.String(), "\n") != 2 {
		t.Errorf("logged %q", text.String())
	}
}
