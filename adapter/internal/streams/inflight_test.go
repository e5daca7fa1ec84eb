package streams

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// heard has a queue whose deliveries are noted: the event, and its offset.
type heard struct {
	inFlight
	turn sync.Mutex
	log  []string
}

func newHeard() *heard {
	h := new(heard)
	h.inFlight.turn, h.patient = &h.turn, patience
	h.deliver = func(b *cluster.Broadcast) { h.log = append(h.log, string(b.Data.JSON)+b.Offset) }
	return h
}

func (h *heard) say(t *testing.T, name string, wait time.Duration) {
	t.Helper()
	b := &cluster.Broadcast{Data: linktest.Text(`"` + name + `"`), Target: cluster.Target{Rooms: []string{"room"}}}
	if err := h.emit(b, []byte(name), wait, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func (h *heard) mark(name string) { h.after(func() { h.log = append(h.log, name) }) }

func (h *heard) show(name string, seq uint64) {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.seen([]byte(name), offset{1, seq})
}

func (h *heard) want(t *testing.T, want ...string) {
	t.Helper()
	h.turn.Lock()
	defer h.turn.Unlock()
	if !slices.Equal(h.log, want) {
		t.Errorf("heard %q, want %q", h.log, want)
	}
	h.log = nil
}

func TestWhatIsEmittedWaitsForItsPlaceInTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeard()
		h.mark("at once")
		h.say(t, "a", patience)
		h.mark("behind a")
		h.say(t, "b", patience)
		h.say(t, "a", patience)
		h.want(t, "at once")
		h.show("a", 1)
		h.want(t, `["a"]1-1`, "behind a")
		h.show("other", 2)
		h.want(t)
		h.show("a", 3) // b never got there
		h.want(t, `["b"]`, `["a"]1-3`)
		h.mark("at once")
		h.want(t, "at once")
		synctest.Wait()
		h.close()
	})
}

func TestWhatTheStreamDoesNotShowInTimeIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeard()
		h.say(t, "a", patience)
		time.Sleep(patience / 2)
		h.say(t, "b", patience)
		h.mark("behind b")
		time.Sleep(patience/2 + time.Millisecond)
		synctest.Wait()
		h.want(t, `["a"]`)
		time.Sleep(patience)
		synctest.Wait()
		h.want(t, `["b"]`, "behind b")

		// A client that was not here when they were delivered gets them now, and not again from the
		// stream.
		if late := h.missedEarly([]string{"room"}); len(late) != 2 || string(late[0].JSON) != `["a"]` {
			t.Errorf("late %v", late)
		}
		if late := h.missedEarly([]string{"another"}); len(late) != 0 {
			t.Errorf("late for another room %v", late)
		}
		h.show("a", 1)
		h.want(t)
		if late := h.missedEarly([]string{"room"}); len(late) != 1 {
			t.Errorf("late %v once the stream showed one", late)
		}
		time.Sleep(2 * earlyFor)
		if late := h.missedEarly([]string{"room"}); len(late) != 0 {
			t.Errorf("late after a while %v", late)
		}

		h.say(t, "away", atOnce)
		synctest.Wait()
		h.want(t, `["away"]`)
		h.say(t, "c", patience)
		h.close()
		h.want(t, `["c"]`)
	})
}

func TestWhatCannotBeSentIsDeliveredHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeard()
		broken := errors.New("broken")
		if err := h.emit(&cluster.Broadcast{Data: linktest.Text(`"a"`)}, []byte("a"), patience, func() error { return broken }); err != broken {
			t.Error(err)
		}
		synctest.Wait()
		h.want(t, `["a"]`)
		h.close()
	})
}

func TestTailKnowsWhatItHas(t *testing.T) {
	s := tail{on: true, maxLen: 3, maxBytes: 1 << 20}
	s.restart(offset{1, 0})
	for i := range uint64(5) {
		s.add(offset{1, i + 1}, wire.Entry{Data: fmt.Sprint(i)})
	}
	for _, c := range []struct {
		o          offset
		was, known bool
		after      int // -1: not all are there
	}{
		{offset{}, false, false, -1},
		{offset{1, 1}, false, false, -1},
		{offset{1, 2}, true, true, 3}, // the last that went
		{offset{1, 3}, true, true, 2},
		{offset{1, 5}, true, true, 0},
		{offset{1, 9}, false, true, 0},
	} {
		if was, known := s.has(c.o); was != c.was || known != c.known {
			t.Errorf("%v: %v, %v", c.o, was, known)
		}
		if rest, ok := s.after(c.o); ok != (c.after >= 0) || ok && len(rest) != c.after {
			t.Errorf("after %v: %d, %v", c.o, len(rest), ok)
		}
	}
	s.maxBytes = 100
	s.add(offset{2, 0}, wire.Entry{})
	if rest, ok := s.after(offset{1, 5}); !ok || len(rest) != 1 {
		t.Errorf("%d, %v after a bound on bytes", len(rest), ok)
	}
}
