package engineio

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestOutbox(t *testing.T) {
	var o outbox
	total := 0
	for i := range 50 {
		m := NewText(make([]byte, i))
		total += len(m.frame)
		o.push(m)
	}
	o.off, o.bytes = 1, o.bytes-1
	o.drop(3)
	if want := total - 3 - 4 - 5; o.off != 0 || o.bytes != want || len(o.items) != 47 {
		t.Errorf("%d items, %d bytes, offset %d; want 47, %d, 0", len(o.items), o.bytes, o.off, want)
	}
	if got := o.take(7); len(got) != 7 || got[0].Len() != 4 {
		t.Errorf("took %d", len(got))
	}
	if got := o.take(0); len(got) != 40 || o.bytes != 0 || o.items != nil {
		t.Errorf("took %d, %d bytes left", len(got), o.bytes)
	}
}

// TestManyMessagesInOneSend: one send of many messages is bounded as many sends are, whatever the
// transport could take.
func TestManyMessagesInOneSend(t *testing.T) {
	part := NewBinary(make([]byte, 400))
	limits := Config{MaxQueueBytes: 1000}
	fits, bomb := []*Message{part, part}, []*Message{part, part, part, part}
	t.Run("WebSocket", func(t *testing.T) {
		bubble(t, limits, func(t *testing.T, f *fixture) {
			c := f.websocket("")
			r := f.session()
			if err := r.s.Send(fits...); err != nil {
				t.Errorf("what fits: %v", err)
			}
			for range fits {
				c.next()
			}
			if err := r.s.Send(bomb...); err != ErrSlowClient {
				t.Errorf("beyond the limit: %v", err)
			}
			r.wantClosed(t, TransportError)
		})
	})
	t.Run("polling", func(t *testing.T) {
		bubble(t, limits, func(t *testing.T, f *fixture) {
			poll := f.polling(f.open())
			r := f.session()
			synctest.Wait()
			if err := r.s.Send(bomb...); err != ErrSlowClient {
				t.Errorf("beyond the limit: %v", err)
			}
			r.wantClosed(t, TransportError)
			<-poll
		})
	})
	t.Run("polling, between two polls", func(t *testing.T) {
		bubble(t, limits, func(t *testing.T, f *fixture) {
			f.open()
			r := f.session()
			if err := r.s.Send(bomb...); err != ErrSlowClient {
				t.Errorf("beyond the limit: %v", err)
			}
			r.wantClosed(t, TransportError)
		})
	})
}

func TestOutboxAgainstAModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var o outbox
	var want []*Message
	for range 2000 {
		for range rnd.IntN(40) {
			m := NewText(make([]byte, rnd.IntN(300)))
			o.push(m)
			want = append(want, m)
		}
		n := rnd.IntN(len(want) + 1)
		if rnd.IntN(10) == 0 {
			n = len(want)
		}
		if n < len(want) { // a part of the first that stays is written, as writes end anywhere
			o.drop(n)
			want = want[n:]
			off := rnd.IntN(len(want[0].frame) - o.off)
			o.off, o.bytes = o.off+off, o.bytes-off
		} else {
			o.drop(n)
			want = nil
		}
		bytes := -o.off
		for _, m := range want {
			bytes += len(m.frame)
		}
		if !slices.Equal(o.items, want) || o.bytes != bytes {
			t.Fatalf("%d items, %d bytes; want %d, %d", len(o.items), o.bytes, len(want), bytes)
		}
		if len(want) == 0 && (cap(o.items) > keepItems || slices.ContainsFunc(o.items[:cap(o.items)], func(m *Message) bool { return m != nil })) {
			t.Fatalf("an empty queue keeps an array of %d", cap(o.items))
		}
	}
}

func TestMessageForms(t *testing.T) {
	for _, n := range []int{0, 1, 124, 125, 126, 65534, 65535, 65536} {
		data := bytes.Repeat([]byte("a"), n)
		for _, m := range []*Message{NewText(data), NewBinary(data)} {
			want := data
			if !m.binary {
				want = append([]byte("4"), data...)
			}
			op, got, err := readFrame(bytes.NewReader(m.wire(-1)))
			if err != nil || !bytes.Equal(got, want) || m.Len() != len(want) || op == opBinary != m.binary {
				t.Errorf("%d bytes: opcode %d, %d bytes, %v", n, op, len(got), err)
			}
			if got := m.appendText(nil); len(got) != m.textLen() {
				t.Errorf("%d bytes: text form of %d, said %d", n, len(got), m.textLen())
			}
		}
	}
}

// Many goroutines send to one session: each one's messages stay contiguous and in order.
func TestConcurrentSends(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		s := f.session().s
		const senders, each = 8, 200
		var wg sync.WaitGroup
		for i := range senders {
			wg.Go(func() {
				for j := range each {
					b := binary.BigEndian.AppendUint32([]byte{byte(i)}, uint32(j))
					s.Send(NewBinary(b), NewBinary(append(b, 1)))
				}
			})
		}
		var next [senders]uint32
		for range senders * each {
			_, first := c.next()
			_, second := c.next()
			i := first[0]
			if len(first) != 5 || !bytes.Equal(second, append(first, 1)) || binary.BigEndian.Uint32(first[1:]) != next[i] {
				t.Fatalf("got %v, then %v; want number %d", first, second, next[i])
			}
			next[i]++
		}
		wg.Wait()
	})
}

// Sending a shared message to a session that can write allocates nothing.
func TestSendAllocatesNothing(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	c := f.websocket("")
	s := f.session().s
	m := NewText([]byte("shared"))
	n := testing.AllocsPerRun(200, func() {
		s.Send(m)
		s.Cork()
		s.Send(m)
		s.Send(m)
		s.Uncork()
	})
	if n > 0.1 {
		t.Errorf("%v allocations, want 0", n)
	}
	c.want("4shared")
}
