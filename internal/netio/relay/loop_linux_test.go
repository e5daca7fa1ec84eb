package relay

import (
	"io"
	"net"
	"testing"
	"time"
	"unsafe"
)

// TestPace: a loop that wakes up often looks at a pace, as long as it finds several sockets.
func TestPace(t *testing.T) {
	w, err := newWaiter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	now := time.Now()
	step := func(n int, after time.Duration) bool {
		w.n, now = n, now.Add(after)
		w.adapt(now)
		return w.paced
	}
	for range 100 {
		if step(1, time.Millisecond) {
			t.Fatal("a pace for few messages")
		}
	}
	for i := range quickWakes {
		if step(1, interval/4) != (i >= quickWakes-2) { // the last one of before counts
			t.Fatal("the pace begins at wake", i)
		}
		if w.paced {
			break
		}
	}
	for range 100 {
		if !step(worthwhile, interval) || !step(worthwhile-1, interval) {
			t.Fatal("the pace ends though looks find several")
		}
	}
	step(worthwhile, interval)
	for i := range poorLooks {
		if step(1, interval) != (i < poorLooks-1) {
			t.Fatal("the pace ends at poor look", i)
		}
	}
	for at := time.Duration(0); at < tryAgainIn-interval; at += interval / 4 {
		if step(1, interval/4) {
			t.Fatal("the pace is tried again at once")
		}
	}
	for n := 0; !step(1, interval/4); n++ {
		if n == 2*quickWakes {
			t.Fatal("the pace isn't tried again")
		}
	}
}

// The end of one direction doesn't end the other, for a while.
func TestHalfOpenPairsEnd(t *testing.T) {
	for _, form := range []string{"TCP", "unix", "TLS"} {
		t.Run(form, func(t *testing.T) {
			j := join(t, form, "TCP", "", "")
			closeWrite(t, j.a)
			if b, err := io.ReadAll(j.b); len(b) > 0 || err != nil {
				t.Fatalf("%q, %v", b, err)
			}
			l := j.Pair.loop.Load()
			l.mu.Lock()
			half := time.Unix(0, j.half)
			l.mu.Unlock()
			j.Expire(half.Add(-1))
			io.WriteString(j.b, "x")
			if _, err := io.ReadFull(j.a, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			j.goesOn(t)
			j.Expire(half)
			j.awaitEnd(t)
		})
	}
}

// A side that takes nothing holds up its peer, costs a bounded buffer, and ends the pair.
func TestASideThatTakesNothing(t *testing.T) {
	for _, form := range []string{"TCP", "unix", "TLS"} {
		t.Run(form, func(t *testing.T) {
			j := join(t, "TCP", form, "", "")
			l := j.Pair.loop.Load()
			written := make(chan struct{})
			go func() {
				defer close(written)
				block := make([]byte, 1<<16)
				for {
					if _, err := j.a.Write(block); err != nil {
						return
					}
				}
			}()
			queued := func() int {
				l.mu.Lock()
				defer l.mu.Unlock()
				return cap(j.sides[1].out)
			}
			for end := time.Now().Add(patience); queued() == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("nothing waits")
				}
			}
			if n := queued(); n > readSize {
				t.Errorf("a buffer of %d bytes", n)
			}
			l.mu.Lock()
			slow := time.Unix(0, j.sides[1].slow)
			l.mu.Unlock()
			j.Expire(slow.Add(stall - 1))
			j.goesOn(t)
			j.Expire(time.Now().Add(2 * stall))
			j.awaitEnd(t)
			<-written
		})
	}
}

// TestAQuietPairIsSmall: a pair has no buffer, no goroutine and no timer, so this is all of it but
// a slot.
func TestAQuietPairIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Pair{}); n > 256 {
		t.Errorf("%d bytes", n)
	}
	j := join(t, "TCP", "unix", "HTTP", "HTTP")
	for _, c := range []net.Conn{j.a, j.b} {
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
	}
	l := j.Pair.loop.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if j.sides[0].out != nil || j.sides[1].out != nil {
		t.Error("a quiet pair has a buffer")
	}
}
