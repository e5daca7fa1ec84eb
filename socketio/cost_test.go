package socketio_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// steps are what a client of the cost tests sends, as a polling body has it. "#" is a number that
// rises.
var steps = [16]string{
	"40", "41", "40/a,", "41/a,", "40/b,{\"token\":\"#\"}", "41/b,", "40/refusing,", "40/nowhere,",
	`42["echo",1]`, `421["echo","#"]`, `42/a,["echo",3e-324]`, `42["join","#"]`, `42["leave","#"]`, `42/a,["join","#"]`,
	"451-[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAAAA", `431["#"]`,
}

// script is what a client sends that has joined the main namespace. 0xff ends a part of the
// program. A part's first byte tells by its low half how often the part is repeated, as a power of
// two; by its highest bit that a POST begins; by the next bit that the part isn't repeated times as
// often. Each other byte is a step by its low half.
func script(program []byte, times int) (posts [][]byte) {
	posts = [][]byte{[]byte("40"), nil}
	n := 0
	for part := range bytes.SplitSeq(program, []byte{0xff}) {
		if len(part) == 0 {
			continue
		}
		if part[0]&0x80 != 0 {
			posts = append(posts, nil)
		}
		b := posts[len(posts)-1]
		repeats := 1 << (part[0] & 0xf)
		if part[0]&0x40 == 0 {
			repeats *= times
		}
		for range repeats {
			for _, c := range part[1:] {
				if len(b) > 0 {
					b = append(b, 0x1e)
				}
				head, tail, numbered := strings.Cut(steps[c&0xf], "#")
				if b = append(b, head...); numbered {
					b = append(strconv.AppendInt(b, int64(n), 10), tail...)
					n++
				}
			}
			if len(b) > 256<<10 {
				return nil
			}
		}
		posts[len(posts)-1] = b
	}
	return posts
}

// receive has a whole server take a client's POSTs, and reports whether the session is still there.
// With wait it waits until all is done that they left to other goroutines.
func receive(t *testing.T, posts [][]byte, wait bool) (alive bool) {
	const most = 1 << 30 // no limit ends what might be dear
	io, err := socketio.New(socketio.Config{
		MaxNamespaces: most, MaxPendingBytes: most, MaxRooms: most,
		MaxQueueBytes: most, MaxHTTPBufferSize: most,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, nsp := range []*socketio.Namespace{io.Of("/"), io.Of("/a"), io.Of("/b")} {
		nsp.On("echo", func(args socketio.Args) (socketio.Args, error) { return args, nil })
		nsp.On("join", func(s *socketio.Socket, room string) { s.Join(room) })
		nsp.On("leave", func(s *socketio.Socket, room string) { s.Leave(room) })
	}
	io.Of("/refusing").Use(func(context.Context, *socketio.Socket) error { return errors.New("no") })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); io.Run(ctx) }()
	w := httptest.NewRecorder()
	io.ServeHTTP(w, httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling", nil))
	_, sid, _ := strings.Cut(w.Body.String(), `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	for _, body := range posts {
		r := httptest.NewRequest("POST", "/socket.io/?EIO=4&transport=polling&sid="+sid, bytes.NewReader(body))
		io.ServeHTTP(httptest.NewRecorder(), r)
	}
	alive = io.Engine().Len() == 1
	cancel()
	if wait {
		<-ended
	} else {
		t.Cleanup(func() { <-ended })
	}
	return alive
}

// allocated is how many bytes f and what runs beside it allocate.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// wantLinear wants that eight times as many packets cost not much more than eight times as much: in
// CPU time of the goroutine that reads, and in bytes that the whole server allocates. It reports
// whether the client had its say to the end.
func wantLinear(t *testing.T, program []byte) (alive bool) {
	const times, fair = 8, 3
	few, many := script(program, 1), script(program, times)
	if few == nil || many == nil {
		t.Skip("too long")
	}
	size := len(bytes.Join(few, nil))
	alive = true
	read := func(posts [][]byte) time.Duration {
		return testkit.CPU(func() { alive = receive(t, posts, false) && alive })
	}
	if cheap, dear := read(few), read(many); dear > fair*times*cheap+20*time.Millisecond {
		t.Errorf("%v of CPU for %d bytes, %v for %d times these", cheap, size, dear, times)
	}
	cheap, dear := allocated(func() { receive(t, few, true) }), allocated(func() { receive(t, many, true) })
	if dear > fair*times*cheap+8<<20 {
		t.Errorf("%d bytes allocated for %d bytes, %d for %d times these", cheap, size, dear, times)
	}
	return alive
}

// costly are programs whose cost was, or might be, out of proportion.
var costly = map[string][]byte{
	"a namespace joined and left behind events": {10, 8, 0xff, 9, 2, 3},
	"the same with events of its own":           {8, 8, 0xff, 7, 2, 10, 3},
	"rooms joined and left":                     {7, 11, 0xff, 7, 12},
	"rooms and namespaces joined and left":      {0x40, 2, 0xff, 7, 13, 11, 0xff, 7, 4, 5},
	"attachments and answers":                   {7, 14, 9, 0xff, 0x87, 15},
	"numbers that JavaScript prints otherwise":  {0x40, 2, 0xff, 8, 10},
	"refusals": {0x40, 6, 0xff, 8, 7},
}

// A message that leaves a namespace costs the same whatever came before it, as do others.
func TestPacketCost(t *testing.T) {
	for name, program := range costly {
		t.Run(name, func(t *testing.T) {
			if !wantLinear(t, program) {
				t.Error("the session was closed")
			}
		})
	}
}

// FuzzPacketCost wants the same of any packets in any order, in one POST or several.
func FuzzPacketCost(f *testing.F) {
	for _, program := range costly {
		short := bytes.Clone(program)
		short[0] &^= 0xf // TestPacketCost has them in full
		f.Add(short)
	}
	f.Fuzz(func(t *testing.T, program []byte) { wantLinear(t, program) })
}
