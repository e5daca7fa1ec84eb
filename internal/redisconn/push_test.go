package redisconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A stretch of what Redis says, and what that is.
const pushStream = "+OK\r\n" +
	"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" +
	"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhe\r\no\r\n" +
	"*4\r\n$8\r\npmessage\r\n$2\r\nb*\r\n$2\r\nbc\r\n$0\r\n\r\n" +
	"*3\r\n$8\r\nsmessage\r\n$1\r\ns\r\n$3\r\n\x00\n\xff\r\n" +
	"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n" +
	"*2\r\n$4\r\npong\r\n$0\r\n\r\n" +
	"+PONG\r\n"

var pushSaid = []said{
	{kind: "OK"},
	{kind: "subscribe", channel: "a", payload: []byte("1")},
	{kind: "message", channel: "a", payload: []byte("he\r\no")},
	{kind: "pmessage", channel: "bc"},
	{kind: "smessage", channel: "s", payload: []byte("\x00\n\xff")},
	{kind: "unsubscribe", payload: []byte("0")},
	{kind: "pong"},
	{kind: "pong"},
}

func TestPushReadsWhateverTheChunks(t *testing.T) {
	for size := 1; size <= len(pushStream); size++ {
		readsAll(t, size, false)
		readsAll(t, size, true)
	}
}

// readsAll reads the stream in chunks of a size. What is kept must be as it was long after; what is
// not, at first.
func readsAll(t *testing.T, size int, kept bool) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		for rest := pushStream; rest != ""; rest = rest[min(size, len(rest)):] {
			_, _ = server.Write([]byte(rest[:min(size, len(rest))]))
		}
		server.Close()
	}()
	p := &push{conn: client, heard: func() {}, most: maxBulk}
	var all []said
	for range pushSaid {
		s, err := p.Receive(t.Context())
		if err != nil {
			t.Fatalf("%d bytes at a time: %v after %d", size, err, len(all))
		}
		if kept {
			p.keep()
		} else {
			s.channel, s.payload = strings.Clone(s.channel), bytes.Clone(s.payload)
		}
		all = append(all, s)
	}
	if _, err := p.Receive(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	for i, want := range pushSaid {
		if got := all[i]; got.kind != want.kind || got.channel != want.channel || string(got.payload) != string(want.payload) {
			t.Errorf("%d bytes at a time, kept %v: %d is %+v, want %+v", size, kept, i, got, want)
		}
	}
}

func TestPushReadsMessagesLongerThanAChunk(t *testing.T) {
	long := strings.Repeat("x", 3*chunkBytes+1)
	client, server := net.Pipe()
	go func() {
		m := "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n"
		_, _ = server.Write([]byte(string(appendBulk([]byte(m), "short")) + string(appendBulk([]byte(m), long)) + string(appendBulk([]byte(m), "short"))))
		server.Close()
	}()
	p := &push{conn: client, heard: func() {}, most: maxBulk}
	defer client.Close()
	for _, want := range []string{"short", long, "short"} {
		if s, err := p.Receive(t.Context()); err != nil || string(s.payload) != want {
			t.Fatalf("%d bytes, %v, want %d", len(s.payload), err, len(want))
		}
	}
}

// TestLongMessagesAreNotHeld: a payload beyond the bound is read past, however it is cut, and costs
// no memory of its size.
func TestLongMessagesAreNotHeld(t *testing.T) {
	const most, length = 1000, 64 << 20
	for _, head := range []string{"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n", "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n"} {
		client, server := net.Pipe()
		go func() {
			_, _ = server.Write(appendBulk([]byte(head), strings.Repeat("x", most+1)))
			_, _ = server.Write(fmt.Appendf(nil, "%s$%d\r", head, length))
			_, _ = server.Write([]byte("\n"))
			piece := bytes.Repeat([]byte("$"), 1<<20)
			for range length / len(piece) {
				_, _ = server.Write(piece)
			}
			_, _ = server.Write([]byte("\r"))
			_, _ = server.Write(append([]byte("\n"), appendBulk([]byte(head), strings.Repeat("x", most))...))
			server.Close()
		}()
		p := &push{conn: client, heard: func() {}, most: most}
		for _, want := range []said{{omitted: most + 1}, {omitted: length}, {payload: make([]byte, most)}} {
			s, err := p.Receive(t.Context())
			if err != nil || !s.message || s.channel != "a" || s.omitted != want.omitted || len(s.payload) != len(want.payload) {
				t.Fatalf("%+v, %v, want %+v", s, err, want)
			}
			if len(p.chunk) > chunkBytes {
				t.Errorf("%d bytes are held", len(p.chunk))
			}
		}
		client.Close()
	}
}

// TestAnnouncedLengthIsNotBelieved: room is made for bytes as they come, not as they are promised.
func TestAnnouncedLengthIsNotBelieved(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		_, _ = server.Write([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$536870912\r\nx"))
		server.Close()
	}()
	defer client.Close()
	p := &push{conn: client, heard: func() {}, most: maxBulk}
	if _, err := p.Receive(t.Context()); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if len(p.chunk) > believedMessage {
		t.Errorf("%d bytes are held for 1", len(p.chunk))
	}
}

func TestPushReportsWhatRedisRefuses(t *testing.T) {
	const refusal = "-NOPERM this user has no permissions\r\n"
	client, server := net.Pipe()
	go func() {
		_, _ = server.Write([]byte(refusal + pushStream))
		server.Close()
	}()
	defer client.Close()
	p := &push{conn: client, heard: func() {}, most: maxBulk}
	_, err := p.Receive(t.Context())
	var answer redis.Error
	if !errors.As(err, &answer) || !errors.Is(Classify(err), ErrRights) {
		t.Errorf("%v", err)
	}
	if s, err := p.Receive(t.Context()); err != nil || s.kind != "OK" {
		t.Errorf("then %+v, %v", s, err)
	}
}

func FuzzPush(f *testing.F) {
	f.Add([]byte(pushStream))
	f.Add([]byte("*3\r\n$536870913\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			_, size, need, err := parsePush(b, maxBulk)
			switch {
			case err != nil && size == 0:
				return
			case size == 0:
				if need <= len(b) {
					t.Fatalf("%q needs %d bytes and has %d", b, need, len(b))
				}
				return
			case size > len(b):
				t.Fatalf("%q has %d bytes, %d taken", b, len(b), size)
			}
			b = b[size:]
		}
	})
}

// stream is a connection on which Redis says the same over and over, in reads of any size.
type stream struct {
	net.Conn
	text string
	at   int
}

func (s *stream) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m := copy(b[n:], s.text[s.at:])
		n += m
		s.at = (s.at + m) % len(s.text)
	}
	return n, nil
}

// listenTo is a link to a stream.
func listenTo(s *stream, onMessage func(channel string, payload []byte) (kept bool)) (*link, *push) {
	l := newLink(&Subscription{cfg: SubConfig{OnMessage: onMessage}}, home, nil)
	return l, &push{conn: s, heard: l.hear, most: maxBulk}
}

const skipped = "*4\r\n$8\r\npmessage\r\n$13\r\nsocket.io#/#*\r\n$21\r\nsocket.io#/#somebody#\r\n$5\r\nhello\r\n"

func TestReceivingDoesNotAllocate(t *testing.T) {
	messages := 0
	l, p := listenTo(&stream{text: skipped}, func(string, []byte) bool { messages++; return false })
	turn := func() {
		need, err := l.handle(p)
		if err == nil && need > 0 {
			err = p.fill(need)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	turn() // makes the chunk
	if n := testing.AllocsPerRun(5*chunkBytes/len(skipped), turn); n != 0 {
		t.Errorf("%v allocations for up to %d messages", n, handledAtOnce)
	}
	if messages < 4*chunkBytes/len(skipped) {
		t.Errorf("only %d messages: no chunk was read into again", messages)
	}
}

func TestKeptMessagesStayAsTheyAre(t *testing.T) {
	type seen struct {
		channel string
		payload []byte
	}
	text := ""
	for i := range 100 {
		text += string(appendBulk(appendBulk([]byte("*3\r\n$7\r\nmessage\r\n"), "c"+strconv.Itoa(i)), strings.Repeat(strconv.Itoa(i), 50)))
	}
	var kept []seen
	n := 0
	l, p := listenTo(&stream{text: text}, func(channel string, payload []byte) bool {
		if n++; n%7 > 0 {
			return false
		}
		kept = append(kept, seen{channel, payload})
		return true
	})
	for len(kept) < 1000 {
		need, err := l.handle(p)
		if err == nil && need > 0 {
			err = p.fill(need)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, k := range kept {
		number := strconv.Itoa((7*i + 6) % 100)
		if k.channel != "c"+number || string(k.payload) != strings.Repeat(number, 50) {
			t.Fatalf("message %d became %q, %q", i, k.channel, k.payload)
		}
	}
}

// BenchmarkSkipRead is what a message costs that nobody keeps, from Redis's bytes to OnMessage,
// without the system calls.
func BenchmarkSkipRead(b *testing.B) {
	n := 0
	l, p := listenTo(&stream{text: strings.Repeat(skipped, 10_000)}, func(string, []byte) bool { n++; return false })
	b.ReportAllocs()
	b.ResetTimer()
	for n < b.N {
		if need, err := l.handle(p); err != nil || need > 0 && p.fill(need) != nil {
			b.Fatal(err)
		}
	}
}
