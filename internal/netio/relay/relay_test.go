package relay

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once.
const patience = 2 * time.Minute

// forms are the kinds of connections that a pair is made of.
var forms = map[string]func(t testing.TB) (ours, theirs net.Conn){
	"TCP": func(t testing.TB) (net.Conn, net.Conn) { return connect(t, "tcp", "127.0.0.1:0") },
	"unix": func(t testing.TB) (net.Conn, net.Conn) {
		return connect(t, "unix", filepath.Join(t.TempDir(), "socket"))
	},
	"TLS": secured,
	"another": func(t testing.TB) (net.Conn, net.Conn) { // without a descriptor
		ours, theirs := connect(t, "tcp", "127.0.0.1:0")
		return hidden{ours, ours.(*net.TCPConn)}, theirs
	},
}

type closesWrites interface{ CloseWrite() error }

type hidden struct {
	net.Conn
	closesWrites
}

// connect returns both ends of a connection.
func connect(t testing.TB, network, addr string) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if theirs, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	theirs.SetDeadline(time.Now().Add(patience))
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"x"}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// secured is TCP under TLS. Our end has seen the first bytes before TLS has.
func secured(t testing.TB) (ours, theirs net.Conn) {
	t.Helper()
	below, client := connect(t, "tcp", "127.0.0.1:0")
	theirs = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	failed := make(chan error, 1)
	go func() { failed <- theirs.(*tls.Conn).Handshake() }()
	first := make([]byte, 3)
	if _, err := io.ReadFull(below, first); err != nil {
		t.Fatal(err)
	}
	tc := tls.Server(NewUnder(below, first), &tls.Config{Certificates: []tls.Certificate{certificate()}})
	if err := tc.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return tc, theirs
}

// joined is a pair, and what is beyond it on either side.
type joined struct {
	*Pairs
	*Pair
	a, b  net.Conn
	ended chan struct{}
}

// join makes a pair of connections of these forms, whose streams have buffered fromA and fromB.
func join(t testing.TB, formA, formB, fromA, fromB string) *joined {
	t.Helper()
	j := &joined{Pairs: New(stall), Pair: new(Pair), ended: make(chan struct{})}
	ours, a := forms[formA](t)
	theirs, b := forms[formB](t)
	j.a, j.b = a, b
	var sa, sb netio.Stream
	for s, from := range map[*netio.Stream]string{&sa: fromA, &sb: fromB} {
		if s.Init(ours, stall); s == &sb {
			s.Init(theirs, stall)
		}
		if from != "" {
			s.Preload(append(bufpool.Get(len(from)), from...))
		}
	}
	j.Join(j.Pair, &sa, &sb, func() { close(j.ended) })
	t.Cleanup(func() {
		j.Cut()
		j.awaitEnd(t)
		j.Close()
	})
	return j
}

func (j *joined) awaitEnd(t testing.TB) {
	t.Helper()
	select {
	case <-j.ended:
	case <-time.After(patience):
		t.Error("the pair hasn't ended")
	}
}

func (j *joined) goesOn(t testing.TB) {
	t.Helper()
	select {
	case <-j.ended:
		t.Error("the pair has ended")
	default:
	}
}

// each runs test with each form on either side.
func each(t *testing.T, test func(t *testing.T, a, b string)) {
	for a := range forms {
		for b := range forms {
			t.Run(a+" and "+b, func(t *testing.T) { test(t, a, b) })
		}
	}
}

func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(closesWrites).CloseWrite(); err != nil {
		t.Error(err)
	}
}

// exchange sends pieces of random length in both directions at a time, sometimes after others had
// their turn, and checks what arrives, and that the end arrives after it.
func (j *joined) exchange(t testing.TB, seed uint64, size int) {
	t.Helper()
	var tasks sync.WaitGroup
	for i, ends := range [][2]net.Conn{{j.a, j.b}, {j.b, j.a}} {
		random := mrand.New(mrand.NewPCG(seed, uint64(i)))
		sent := make([]byte, random.IntN(size)+1)
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		longest := max(1<<random.IntN(18), len(sent)/2000)
		tasks.Go(func() {
			for rest := sent; len(rest) > 0; {
				n := min(random.IntN(longest)+1, len(rest))
				if _, err := ends[0].Write(rest[:n]); err != nil {
					t.Errorf("write: %v", err)
					return
				}
				if rest = rest[n:]; n%3 == 0 {
					runtime.Gosched()
				}
			}
			closeWrite(t, ends[0])
		})
		tasks.Go(func() {
			if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes came of %d, equal: %v, %v", len(got), len(sent), bytes.Equal(got, sent), err)
			}
		})
	}
	tasks.Wait()
	j.awaitEnd(t)
}

func TestBytesComeThroughInOrder(t *testing.T) {
	each(t, func(t *testing.T, a, b string) { join(t, a, b, "", "").exchange(t, 1, 256<<10) })
}

func FuzzBytesComeThroughInOrder(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	all := []string{"TCP", "unix", "TLS", "another"}
	f.Fuzz(func(t *testing.T, seed uint64) {
		join(t, all[seed%4], all[seed/4%4], "", "").exchange(t, seed, 200_000)
	})
}

// Each frame is a write of its own, as a hostile client would have it.
func TestAMillionTinyFrames(t *testing.T) {
	const frames = 1_000_000
	j := join(t, "TCP", "unix", "", "")
	go func() {
		frame := []byte{0x81, 0x80, 0, 0, 0, 0}
		many := bytes.Repeat(frame, 100)
		for range frames / 200 {
			j.a.Write(many)
			for range 10 { // these alone
				j.a.Write(frame)
			}
			j.a.Write(many[:90*len(frame)])
		}
		closeWrite(t, j.a)
	}()
	if n, err := io.Copy(io.Discard, j.b); n != 6*frames || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// What the streams had read goes first.
func TestBufferedBytesGoFirst(t *testing.T) {
	each(t, func(t *testing.T, a, b string) {
		j := join(t, a, b, "request ", "HTTP/1.1 101 ")
		io.WriteString(j.a, "more")
		io.WriteString(j.b, "frames")
		for c, want := range map[net.Conn]string{j.a: "HTTP/1.1 101 frames", j.b: "request more"} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

// Bytes that TLS has decrypted, or has only read, are in no kernel's buffer when the pair begins.
func TestBytesInsideTLSAreNotForgotten(t *testing.T) {
	ours, a := secured(t)
	theirs, b := connect(t, "tcp", "127.0.0.1:0")
	for i := range 100 {
		fmt.Fprintf(a, "%02d", i)
	}
	var sa, sb netio.Stream
	sa.Init(ours, stall)
	sb.Init(theirs, stall)
	if err := sa.Fill(); err != nil { // reads as many records as it can get
		t.Fatal(err)
	}
	ps, p, ended := New(stall), new(Pair), make(chan struct{})
	ps.Join(p, &sa, &sb, func() { close(ended) })
	got := make([]byte, 200)
	if _, err := io.ReadFull(b, got); err != nil || string(got[198:]) != "99" {
		t.Errorf("%q, %v", got, err)
	}
	p.Cut()
	<-ended
	ps.Close()
}

// A reset ends the other side, too, even while the pair reads nothing more.
func TestAResetEndsThePair(t *testing.T) {
	each(t, func(t *testing.T, a, b string) {
		if a == "unix" {
			t.Skip("has no reset")
		}
		j := join(t, a, b, "", "")
		c := j.a
		if tc, ok := c.(*tls.Conn); ok {
			c = tc.NetConn()
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
		j.awaitEnd(t)
		if _, err := io.ReadAll(j.b); os.IsTimeout(err) {
			t.Error("the other side is open")
		}
	})
}

func TestCut(t *testing.T) {
	each(t, func(t *testing.T, a, b string) {
		j := join(t, a, b, "", "")
		io.WriteString(j.a, "x")
		if _, err := io.ReadFull(j.b, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		j.Cut()
		j.Cut()
		j.awaitEnd(t)
		for _, c := range []net.Conn{j.a, j.b} {
			if _, err := io.ReadAll(c); os.IsTimeout(err) {
				t.Error("a side is open")
			}
		}
	})
}

func TestCutBeforeJoin(t *testing.T) {
	for form := range forms {
		ps, p, ended := New(stall), new(Pair), make(chan struct{})
		ours, a := forms[form](t)
		theirs, _ := connect(t, "tcp", "127.0.0.1:0")
		var sa, sb netio.Stream
		sa.Init(ours, stall)
		sb.Init(theirs, stall)
		p.Cut()
		ps.Join(p, &sa, &sb, func() { close(ended) })
		<-ended
		if _, err := io.ReadAll(a); os.IsTimeout(err) {
			t.Errorf("%s is open", form)
		}
		ps.Close()
	}
}

// Close ends what the loops have.
func TestClose(t *testing.T) {
	j := join(t, "TCP", "TLS", "", "")
	if j.Pair.loop.Load() == nil {
		t.Skip("no loop on this system")
	}
	j.Pairs.Close()
	j.awaitEnd(t)
}

// Pairs come and go, and their slots and descriptors are used again.
func TestManyPairs(t *testing.T) {
	ps := New(stall)
	defer ps.Close()
	for round := range 3 {
		var ended sync.WaitGroup
		for i := range 50 {
			ended.Add(1)
			ours, a := connect(t, "tcp", "127.0.0.1:0")
			theirs, b := connect(t, "tcp", "127.0.0.1:0")
			var sa, sb netio.Stream
			sa.Init(ours, stall)
			sb.Init(theirs, stall)
			ps.Join(new(Pair), &sa, &sb, ended.Done)
			fmt.Fprintf(a, "%02d", i)
			got := make([]byte, 2)
			if _, err := io.ReadFull(b, got); err != nil || string(got) != fmt.Sprintf("%02d", i) {
				t.Fatalf("round %d, pair %d: %q, %v", round, i, got, err)
			}
			a.Close()
			b.Close()
		}
		ended.Wait()
	}
}

func benchmarkEcho(b *testing.B, form string) {
	j := join(b, form, "TCP", "", "")
	j.a.SetDeadline(time.Time{})
	j.b.SetDeadline(time.Time{})
	go io.Copy(struct{ io.Writer }{j.b}, struct{ io.Reader }{j.b})
	msg := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		j.a.Write(msg)
		if _, err := io.ReadFull(j.a, msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEcho(b *testing.B)        { benchmarkEcho(b, "TCP") }
func BenchmarkEchoOverTLS(b *testing.B) { benchmarkEcho(b, "TLS") }
