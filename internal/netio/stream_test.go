package netio

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// connect returns both ends of a TCP connection.
func connect(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return out.(*net.TCPConn), in.(*net.TCPConn)
}

func TestStreamReadsAndDiscards(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"descriptor": func(c net.Conn) net.Conn { return c },
		"another":    func(c net.Conn) net.Conn { return struct{ net.Conn }{c} },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := connect(t)
			var s Stream
			s.Init(wrap(ours), 0)
			sent := bytes.Repeat([]byte("0123456789abcdef"), 20<<10/16)
			go func() {
				theirs.Write(sent)
				theirs.CloseWrite()
			}()
			for len(s.Bytes()) < len(sent) {
				if err := s.Fill(); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(s.Bytes(), sent) {
				t.Fatal("other bytes")
			}
			s.Discard(100)
			if !bytes.Equal(s.Bytes(), sent[100:]) {
				t.Fatal("other bytes after Discard")
			}
			if err := s.Fill(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
			s.Drop()
			if s.buf != nil || len(s.Bytes()) != 0 {
				t.Error("Drop keeps a buffer")
			}
		})
	}
}

func TestStreamWaitsWithoutABuffer(t *testing.T) {
	ours, _ := connect(t)
	var s Stream
	s.Init(ours, 0)
	ours.SetReadDeadline(time.Now().Add(time.Millisecond))
	if err := s.Fill(); !errors.Is(err, os.ErrDeadlineExceeded) || s.buf != nil {
		t.Errorf("%v, buffer of %d bytes", err, len(s.buf))
	}
}

// Everything that Exchange is given is written, whether the kernel takes it at once or in parts.
func TestStreamExchanges(t *testing.T) {
	for _, size := range []int{0, 5, 8 << 20} {
		ours, theirs := connect(t)
		var s Stream
		s.Init(ours, time.Minute)
		question := bytes.Repeat([]byte("q"), size)
		got := make(chan []byte, 1)
		go func() {
			b := make([]byte, size)
			io.ReadFull(theirs, b)
			theirs.Write([]byte("answer"))
			got <- b
		}()
		n, err := s.Exchange(question)
		if n != size || err != nil || !bytes.HasPrefix([]byte("answer"), s.Bytes()) || s.Written() != int64(size) {
			t.Errorf("%d bytes: %d written, %v, answer %q", size, n, err, s.Bytes())
		}
		if !bytes.Equal(<-got, question) {
			t.Errorf("%d bytes: others arrived", size)
		}
	}
}

func TestExchangeTellsWhatWasWritten(t *testing.T) {
	ours, theirs := connect(t)
	var s Stream
	s.Init(ours, 0)
	ours.SetReadDeadline(time.Unix(1, 0))
	if n, err := s.Exchange([]byte("never")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("before the deadline: %d, %v", n, err)
	}
	ours.SetReadDeadline(time.Time{})
	go theirs.CloseWrite()
	if n, err := s.Exchange([]byte("question")); n != 8 || err != io.EOF {
		t.Errorf("without an answer: %d, %v", n, err)
	}
	ours.CloseWrite()
	var errno syscall.Errno
	if n, err := s.Exchange([]byte("question")); n != 0 || !errors.As(err, &errno) || errno != syscall.EPIPE {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

// TestExchangeNoticesAnEarlyEnd wants the end to be noticed that came before the question.
func TestExchangeNoticesAnEarlyEnd(t *testing.T) {
	for range 200 {
		ours, theirs := connect(t)
		var s Stream
		s.Init(ours, 0)
		go theirs.CloseWrite()
		if err := s.Peek(); err != io.EOF { // which takes the poller's news, mostly
			t.Fatalf("peeked %v", err)
		}
		if n, err := s.Exchange([]byte("question")); n != 8 || err != io.EOF {
			t.Fatalf("%d, %v", n, err)
		}
	}
}

func TestPeekedBytesStayInTheKernel(t *testing.T) {
	ours, theirs := connect(t)
	theirs.Write([]byte("hello"))
	var s Stream
	s.Init(ours, 0)
	for range 2 {
		if err := s.Peek(); err != nil || string(s.Bytes()) != "hello" || !s.Peeked() {
			t.Fatalf("%q, %v", s.Bytes(), err)
		}
		s.Drop()
	}
	if err := s.Peek(); err != nil {
		t.Fatal(err)
	}
	s.Take()
	theirs.Write([]byte(" world"))
	if err := s.Fill(); err != nil || string(s.Bytes()) != "hello world" || s.Peeked() {
		t.Errorf("%q, %v", s.Bytes(), err)
	}
}

func TestStreamPreloadAndFillNow(t *testing.T) {
	ours, theirs := connect(t)
	var s Stream
	s.Init(ours, 0)
	s.Preload(append(bufpool.Get(8), "hello"...))
	if s.FillNow(10) {
		t.Errorf("read %q from nothing", s.Bytes())
	}
	theirs.Write([]byte(" world"))
	if err := s.Fill(); err != nil || string(s.Bytes()) != "hello world" {
		t.Errorf("%q, %v", s.Bytes(), err)
	}
	if s.FillNow(64 << 10); len(s.buf)-s.w < 64<<10 || string(s.Bytes()) != "hello world" {
		t.Errorf("room for %d bytes behind %q", len(s.buf)-s.w, s.Bytes())
	}
}

// A peer that takes nothing ends a write, by the deadline of its stream.
func TestStreamGivesUpAWrite(t *testing.T) {
	ours, _ := connect(t)
	var s Stream
	s.Init(ours, time.Millisecond)
	if _, err := s.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestRawAllocatesNothing(t *testing.T) {
	ours, theirs := connect(t)
	var out, in Raw
	if !out.Open(ours) || !in.Open(theirs) {
		t.Fatal("TCP connections have descriptors")
	}
	text, buf := []byte("some bytes"), make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		out.WriteNow(text)
		if n, err := in.Read(buf); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
		out.WriteNow(text)
		p, err := in.ReadBorrowed(len(buf))
		if len(p) != len(text) || err != nil {
			t.Fatal(len(p), err)
		}
		bufpool.Put(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFeed(t *testing.T) {
	f := NewFeed(&net.TCPAddr{Port: 1})
	a, b := net.Pipe()
	defer b.Close()
	failure := errors.New("for the moment")
	go func() {
		f.Give(a)
		f.Fail(failure)
		f.Close()
	}()
	if c, err := f.Accept(); c != a || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := f.Accept(); err != failure {
		t.Errorf("%v", err)
	}
	if _, err := f.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	if f.Give(a) || f.Fail(failure) || f.Close() != nil {
		t.Error("a closed feed takes something")
	}
	<-f.Done()
}
