package handoff

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// networks are both ways to cross, on any Linux; the tests that pass descriptors are in
// packet_linux_test.go.
func networks() []string {
	if defaultNetwork == "unix" {
		return []string{"unix"}
	}
	return []string{defaultNetwork, "unix"}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pair is a listener of worker "wrkA" and a sender to it.
func pair(t testing.TB, network string) (*Listener, *Sender) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wrkA.sock")
	l, err := listen(network, path, "wrkA", false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := dial(within(t), network, path, "wrkA")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		l.Close()
	})
	return l, s
}

func accept(t testing.TB, l *Listener) *Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*Conn)
}

func TestOpenServesHTTP(t *testing.T) {
	for _, network := range networks() {
		t.Run(network, func(t *testing.T) {
			l, s := pair(t, network)
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "hello %s", r.URL.Path)
			})}
			done := make(chan error, 1)
			go func() { done <- srv.Serve(l) }()
			c, err := s.Open(within(t))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			br := bufio.NewReader(c)
			for i := range 3 {
				fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(resp.Body)
				if want := fmt.Sprintf("hello /%d", i); string(b) != want {
					t.Errorf("got %q, want %q", b, want)
				}
			}
			srv.Close()
			if err := <-done; err != http.ErrServerClosed {
				t.Error(err)
			}
		})
	}
}

func TestOpenIsLocal(t *testing.T) {
	for _, network := range networks() {
		t.Run(network, func(t *testing.T) {
			l, s := pair(t, network)
			c, err := s.Open(within(t))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got := accept(t, l)
			if got.Kind() != Local || got.Scheme != "http" {
				t.Errorf("kind %v, scheme %q", got.Kind(), got.Scheme)
			}
			got.Write([]byte("x"))
			got.CloseWrite()
			if b, err := io.ReadAll(c); string(b) != "x" || err != nil {
				t.Errorf("read %q, %v", b, err)
			}
			c.SetReadDeadline(time.Unix(1, 0))
			got.SetReadDeadline(time.Unix(1, 0))
			for _, c := range []net.Conn{c, got} {
				_, err = c.Read(make([]byte, 1))
				var ne net.Error
				if c == net.Conn(got) && (!errors.As(err, &ne) || !ne.Timeout()) {
					t.Errorf("timeout: %v", err)
				}
			}
			got.Close()
			if _, err = got.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		})
	}
}

func TestDialTellsWhoIsThere(t *testing.T) {
	for _, network := range networks() {
		t.Run(network, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "wrkA.sock")
			if _, err := dial(within(t), network, path, "wrkA"); !errors.Is(err, ErrDead) {
				t.Errorf("no socket: %v", err)
			}
			l, err := listen(network, path, "wrkB", false)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := dial(within(t), network, path, "wrkA"); !errors.Is(err, ErrWrongWorker) {
				t.Errorf("other worker: %v", err)
			}
			if _, err := listen(network, path, "wrkC", false); !errors.Is(err, os.ErrExist) {
				t.Errorf("second listener: %v", err)
			}
			l.Close()
			// A killed worker leaves its socket.
			dead, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
			if err != nil {
				t.Fatal(err)
			}
			dead.SetUnlinkOnClose(false)
			dead.Close()
			if _, err := dial(within(t), network, path, "wrkA"); !errors.Is(err, ErrDead) {
				t.Errorf("killed worker: %v", err)
			}
			if l, err = listen(network, path, "wrkA", false); err != nil {
				t.Fatalf("in place of a killed worker: %v", err)
			}
			l.Close()
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
}

func TestDialGivesUpOnAStoppedWorker(t *testing.T) {
	for _, network := range networks() {
		t.Run(network, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "wrkA.sock")
			silent, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				if c, err := silent.Accept(); err == nil {
					defer c.Close()
				}
				cancel()
			}()
			_, err = dial(ctx, network, path, "wrkA")
			if err == nil || errors.Is(err, ErrWrongWorker) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSenderSeesTheWorkerEnd(t *testing.T) {
	for _, network := range networks() {
		t.Run(network, func(t *testing.T) {
			l, s := pair(t, network)
			l.Close()
			<-s.Done()
			if _, err := s.Open(within(t)); !errors.Is(err, ErrDead) {
				t.Errorf("Open: %v", err)
			}
			if err := s.Pass(nil, Meta{Kind: Client}); !errors.Is(err, ErrDead) {
				t.Errorf("Pass: %v", err)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
}

func TestStreamCannotPass(t *testing.T) {
	_, s := pair(t, "unix")
	if err := s.Pass(nil, Meta{Kind: Client}); err != ErrUnsupported {
		t.Errorf("got %v", err)
	}
}

func FuzzWire(f *testing.F) {
	good, _ := appendPrefix(nil, "wrkA", &Meta{Kind: Client, ClientAddr: "10.0.0.1:99", Scheme: "http"})
	f.Add(append(good, "GET / HTTP/1.1\r\n\r\n"...))
	f.Add(good)
	f.Add([]byte{1, 3, 0, 0, 0})
	f.Add(appendGreeting(nil, "wrkA", false))
	f.Add(appendGreeting(nil, "wrkA", true))
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, untouched, err := parseGreeting(b); err == nil && !bytes.Equal(appendGreeting(nil, id, untouched), b) {
			t.Errorf("greeting %q reads as %q", b, id)
		}
		worker, m, err := parse(b)
		if err != nil {
			return
		}
		again, err := appendPrefix(nil, worker, &m)
		if err != nil {
			t.Fatalf("%q reads as %+v, which can't be written: %v", b, m, err)
		}
		if again = append(again, m.Head...); !bytes.Equal(again, b) {
			t.Errorf("%q is written as %q", b, again)
		}
	})
}

func TestWireLimits(t *testing.T) {
	long := string(make([]byte, 256))
	for name, m := range map[string]Meta{
		"kind": {}, "address": {Kind: Client, ClientAddr: long}, "scheme": {Kind: Client, Scheme: long},
	} {
		if _, err := appendPrefix(nil, "wrkA", &m); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	if _, err := appendPrefix(nil, "wrkA", &Meta{Kind: Client, Head: make([]byte, MaxHead+1)}); err != ErrTooLarge {
		t.Errorf("head: %v", err)
	}
}

// fds counts this process's descriptors.
func fds(t testing.TB) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc")
	}
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func TestStreamListenerRefusesGarbage(t *testing.T) {
	l, _ := pair(t, "unix")
	before := fds(t)
	var wg sync.WaitGroup
	for _, b := range []string{"", "x", "GET / HTTP/1.1\r\n\r\n"} {
		wg.Go(func() {
			c, err := net.Dial("unix", l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(c, b)
			if b == "" {
				c.(*net.UnixConn).CloseWrite()
			}
			io.Copy(io.Discard, c)
			c.Close()
		})
	}
	wg.Wait()
	for l.Lost() < 3 {
		runtime.Gosched()
	}
	if n := fds(t); n > before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

var _ syscall.Conn = (*Conn)(nil)
