package redisconn

import (
	"errors"
	"io"
	"net"
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
		client, server := net.Pipe()
		go func() {
			for rest := pushStream; rest != ""; rest = rest[min(size, len(rest)):] {
				_, _ = server.Write([]byte(rest[:min(size, len(rest))]))
			}
			server.Close()
		}()
		p := &push{conn: client, heard: func() {}}
		var all []said
		for range pushSaid {
			s, err := p.Receive(t.Context())
			if err != nil {
				t.Fatalf("%d bytes at a time: %v after %d", size, err, len(all))
			}
			all = append(all, s)
		}
		if _, err := p.Receive(t.Context()); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		client.Close()
		for i, want := range pushSaid { // read long ago: nothing may have changed them
			if got := all[i]; got.kind != want.kind || got.channel != want.channel || string(got.payload) != string(want.payload) {
				t.Errorf("%d bytes at a time: %d is %+v, want %+v", size, i, got, want)
			}
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
	p := &push{conn: client, heard: func() {}}
	defer client.Close()
	for _, want := range []string{"short", long, "short"} {
		if s, err := p.Receive(t.Context()); err != nil || string(s.payload) != want {
			t.Fatalf("%d bytes, %v, want %d", len(s.payload), err, len(want))
		}
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
	p := &push{conn: client, heard: func() {}}
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
			_, size, need, err := parsePush(b)
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

func TestPushDoesNotAllocateForMessages(t *testing.T) {
	m := []byte("*4\r\n$8\r\npmessage\r\n$2\r\nb*\r\n$2\r\nbc\r\n$5\r\nhello\r\n")
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = parsePush(m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
