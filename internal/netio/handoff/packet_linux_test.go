package handoff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tcp is a connection as a router has it, and its client.
func tcp(t testing.TB) (server, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return s.(*net.TCPConn), c.(*net.TCPConn)
}

func TestPassedConnectionReadsHeadFirst(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	router, client := tcp(t)
	client.Write([]byte(" and the rest"))
	m := Meta{Kind: Client, ClientAddr: "203.0.113.9:4711", Scheme: "https", Head: []byte("taken")}
	if err := s.Pass(router, m); err != nil {
		t.Fatal(err)
	}
	router.Close() // ends nothing
	c := accept(t, l)
	if c.Kind() != Client || c.ClientAddr != m.ClientAddr || c.Scheme != "https" || c.RemoteAddr().String() != m.ClientAddr {
		t.Errorf("got %v %q %q %v", c.Kind(), c.ClientAddr, c.Scheme, c.RemoteAddr())
	}
	if c.Buffered() != 5 {
		t.Errorf("%d bytes buffered", c.Buffered())
	}
	b := make([]byte, len("taken and the rest"))
	if _, err := io.ReadFull(c, b[:3]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, b[3:]); err != nil || string(b) != "taken and the rest" {
		t.Fatalf("%q, %v", b, err)
	}
	c.Write([]byte("answer"))
	c.CloseWrite()
	if b, err := io.ReadAll(client); string(b) != "answer" || err != nil {
		t.Errorf("client read %q, %v", b, err)
	}
}

func TestUntouchedConnections(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.sock")
	l, err := ListenUntouched(path, "wrkA")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Dial(t.Context(), path, "wrkA")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.Untouched() {
		t.Fatal("the greeting does not tell")
	}
	router, client := tcp(t)
	if err := s.Pass(router, Meta{Kind: Client, Scheme: "http", Head: []byte("taken")}); !errors.Is(err, ErrTouched) {
		t.Errorf("a touched connection: %v", err)
	}
	// This side refuses the message of a router whose version doesn't ask.
	if err := s.link.pass(router, &Meta{Kind: Client, Scheme: "http", Head: []byte("taken")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Pass(router, Meta{Kind: Client, ClientAddr: "203.0.113.9:4711", Scheme: "http"}); err != nil {
		t.Fatal(err)
	}
	client.Write([]byte("as it came"))
	c := accept(t, l)
	b := make([]byte, len("as it came"))
	if _, err := io.ReadFull(c, b); err != nil || c.Kind() != Client || string(b) != "as it came" {
		t.Errorf("%v %q %v", c.Kind(), b, err)
	}
	if l.Lost() != 1 {
		t.Errorf("%d connections lost, want the touched one", l.Lost())
	}
	// Other routers' connections bring their heads all the same.
	peer, _ := tcp(t)
	if err := s.Pass(peer, Meta{Kind: Peer, Scheme: "http", Head: []byte("head")}); err != nil {
		t.Fatal(err)
	}
	if c := accept(t, l); c.Kind() != Peer || c.Buffered() != 4 {
		t.Errorf("%v, %d bytes buffered", c.Kind(), c.Buffered())
	}
}

func TestWorkerThatTakesNothingIsBehind(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	start := time.Now()
	if d := s.Behind(start); d != 0 {
		t.Fatalf("behind for %v before anything was passed", d)
	}
	router, _ := tcp(t)
	for range 3 { // one is taken and waits for Accept, the others stay in the socket
		if err := s.Pass(router, Meta{Kind: Client, Scheme: "http"}); err != nil {
			t.Fatal(err)
		}
	}
	s.Behind(start)
	if d := s.Behind(start.Add(time.Second)); d != time.Second {
		t.Errorf("behind for %v, want 1s", d)
	}
	for range 3 {
		accept(t, l)
	}
	if d := s.Behind(start.Add(2 * time.Second)); d != 0 {
		t.Errorf("behind for %v after everything was taken", d)
	}
	if d := s.Behind(start.Add(3 * time.Second)); d != 0 {
		t.Errorf("behind for %v", d)
	}
}

func TestHeadOfAnySizeArrivesWhole(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	for _, n := range []int{0, 1, 4096, MaxHead} {
		router, _ := tcp(t)
		head := bytes.Repeat([]byte{'h'}, n)
		if err := s.Pass(router, Meta{Kind: Peer, ClientAddr: "10.0.0.1:1", Scheme: "http", Head: head}); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		c := accept(t, l)
		got := make([]byte, n)
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, head) {
			t.Errorf("%d bytes arrived wrong: %v", n, err)
		}
	}
	router, client := tcp(t)
	if err := s.Pass(router, Meta{Kind: Client, Head: make([]byte, MaxHead+1)}); err != ErrTooLarge {
		t.Errorf("got %v", err)
	}
	if _, err := router.Write([]byte("mine")); err != nil { // still the caller's
		t.Error(err)
	}
	io.ReadFull(client, make([]byte, 4))
}

// A sender whose buffer is smaller than the head must learn that, not wait for ever.
func TestHeadLargerThanSocketBuffer(t *testing.T) {
	_, s := pair(t, defaultNetwork)
	s.c.SetWriteBuffer(4096)
	router, _ := tcp(t)
	if err := s.Pass(router, Meta{Kind: Client, Head: make([]byte, 32<<10)}); err != ErrTooLarge {
		t.Errorf("got %v", err)
	}
}

func TestFullSocketNeverWaits(t *testing.T) {
	before := fds(t)
	l, s := pair(t, defaultNetwork)
	router, _ := tcp(t)
	head := make([]byte, 16<<10)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	passed := 0
	// The listener may still take datagrams while nobody accepts, as many as it holds: full is when
	// both ways say so.
	for full := false; !full; {
		if passed > 10_000 {
			t.Fatal("never full")
		}
		switch err := s.Pass(router, Meta{Kind: Client, Head: head}); err {
		case nil:
			passed++
			continue
		case ErrFull:
		default:
			t.Fatalf("after %d: %v", passed, err)
		}
		switch c, err := s.Open(over); {
		case err == nil:
			c.Close()
			passed++
		case errors.Is(err, ErrFull):
			full = true
		default:
			t.Fatalf("Open after %d: %v", passed, err)
		}
	}
	opened := make(chan error, 1)
	go func() { // waits for room, which the accepting below makes
		c, err := s.Open(within(t))
		if err == nil {
			c.Close()
		}
		opened <- err
	}()
	for range passed + 1 { // the one that waits comes last
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := <-opened; err != nil {
		t.Errorf("Open after room: %v", err)
	}
	s.Close()
	l.Close()
	if n := fds(t); n > before+2 { // router and its client
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// Descriptors in flight belong to the kernel: they end with the worker.
func TestUnacceptedEndWithTheWorker(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	router, client := tcp(t)
	for range 10 {
		if err := s.Pass(router, Meta{Kind: Client}); err != nil {
			t.Fatal(err)
		}
	}
	router.Close()
	l.Close()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client's connection is still open")
	}
}

// The listener stays up after anything that a sender of this user writes. It keeps no descriptor
// and accepts the next good one.
func TestMalformedDatagramsCostNothing(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	router, _ := tcp(t)
	prefix := func(worker string, k Kind) []byte {
		b, err := appendPrefix(nil, worker, &Meta{Kind: k})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	rc, _ := router.SyscallConn()
	before := fds(t)
	rc.Control(func(fd uintptr) {
		f := int(fd)
		for _, m := range []struct {
			b   []byte
			oob []byte
		}{
			{[]byte("x"), unix.UnixRights(f)},
			{prefix("wrkA", Client), nil},
			{prefix("wrkA", Client), unix.UnixRights(f, f)},
			{prefix("wrkA", Client), unix.UnixRights(f, f, f, f, f, f, f, f)},
			{prefix("wrkB", Client), unix.UnixRights(f)},
			{append(prefix("wrkA", Client), make([]byte, maxPrefix+MaxHead)...), unix.UnixRights(f)},
			{[]byte{2, 1, 0, 0, 0}, unix.UnixRights(f)},
		} {
			if _, _, err := s.c.WriteMsgUnix(m.b, m.oob, nil); err != nil {
				t.Error(err)
			}
		}
	})
	if err := s.Pass(router, Meta{Kind: Client, Scheme: "http"}); err != nil {
		t.Fatal(err)
	}
	accept(t, l).Close()
	if l.Lost() != 7 {
		t.Errorf("lost %d, want 7", l.Lost())
	}
	if n := fds(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

func FuzzReceive(f *testing.F) {
	l := &Listener{worker: "wrkA", ln: nil}
	dir := f.TempDir()
	ln, err := net.ListenUnix(defaultNetwork, &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: defaultNetwork})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { ln.Close() })
	l.ln = ln
	good, _ := appendPrefix(nil, "wrkA", &Meta{Kind: Client, ClientAddr: "10.0.0.1:99", Scheme: "http"})
	f.Add(append(good, "GET / HTTP/1.1\r\n\r\n"...), uint8(1), 0)
	f.Add(good, uint8(0), 0)
	f.Add(good, uint8(3), unix.MSG_CTRUNC)
	f.Fuzz(func(t *testing.T, b []byte, n uint8, flags int) {
		before := fds(t)
		var all []int
		for range n % 5 {
			p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(p[0])
			all = append(all, p[1])
		}
		var oob []byte
		if len(all) > 0 {
			oob = unix.UnixRights(all...)
		}
		if c, err := l.receive(b, oob, flags); err == nil {
			io.Copy(io.Discard, c)
			c.Close()
		}
		if after := fds(t); after != before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
	})
}

func TestManyPassesLeakNothing(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	router, _ := tcp(t)
	before := fds(t)
	for i := range 500 {
		if err := s.Pass(router, Meta{Kind: Client, Head: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if i%5 == 0 {
			o, err := s.Open(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if c, err = l.Accept(); err != nil {
				t.Fatal(err)
			}
			o.Close()
			c.Close()
		}
	}
	if n := fds(t); n != before {
		t.Errorf("%d descriptors, %d before", n, before)
	}
}

// Descriptors must not survive into programs that a worker or router starts.
func TestDescriptorsCloseOnExec(t *testing.T) {
	l, s := pair(t, defaultNetwork)
	router, _ := tcp(t)
	if err := s.Pass(router, Meta{Kind: Client}); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	conns := []interface{ Close() error }{accept(t, l), accept(t, l), o}
	for i, c := range conns {
		rc, err := c.(interface {
			SyscallConn() (syscall.RawConn, error)
		}).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		rc.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%d: flags %x, %v", i, flags, err)
			}
		})
	}
}

func TestSeveralSenders(t *testing.T) {
	l, _ := pair(t, defaultNetwork)
	const each = 50
	for i := range 4 {
		s, err := Dial(within(t), l.Addr().String(), "wrkA")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		router, _ := tcp(t)
		go func() {
			for range each {
				for s.Pass(router, Meta{Kind: Client, Scheme: fmt.Sprint(i)}) == ErrFull {
					runtime.Gosched()
				}
			}
		}()
	}
	count := map[string]int{}
	for range 4 * each {
		c := accept(t, l)
		count[c.Scheme]++
		c.Close()
	}
	for s, n := range count {
		if n != each {
			t.Errorf("%d from sender %s", n, s)
		}
	}
}

func BenchmarkPass(b *testing.B) {
	l, s := pair(b, defaultNetwork)
	router, _ := tcp(b)
	head := bytes.Repeat([]byte("GET /socket.io/ HTTP/1.1\r\n"), 20)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		for {
			err := s.Pass(router, Meta{Kind: Client, ClientAddr: "127.0.0.1:50000", Scheme: "http", Head: head})
			if err == nil {
				break
			}
			if err != ErrFull {
				b.Fatal(err)
			}
			runtime.Gosched()
		}
	}
}

func TestClosedSenderAnswersDead(t *testing.T) {
	_, s := pair(t, defaultNetwork)
	router, _ := tcp(t)
	s.Close()
	if err := s.Pass(router, Meta{Kind: Client}); err != ErrDead {
		t.Errorf("got %v", err)
	}
}

func TestListenNeedsAName(t *testing.T) {
	for _, id := range []string{"", string(make([]byte, 300))} {
		if _, err := Listen(filepath.Join(t.TempDir(), "s"), id); err == nil {
			t.Errorf("%q taken", id)
		}
	}
	if _, err := Listen(filepath.Join(t.TempDir(), "no", "dir"), "wrkA"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
