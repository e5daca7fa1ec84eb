package streams

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	turn  sync.Mutex
	moved offset
	log   []string
}

func newHeard() *heard {
	h := new(heard)
	h.inFlight.turn, h.at, h.uid, h.patient = &h.turn, func() offset { return h.moved }, "me", patience
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
	h.moved = offset{1, seq}
	h.seen([]byte(name))
}

// early is a broadcast as it is delivered before the stream shows it.
func early(name string, at offset, number int) string {
	return fmt.Sprintf(`["%s"]%s`, name, position{at, mark{"me", digestOf(name), number}})
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
		h.show("a", 3) // b didn't get there before
		h.want(t, `["b"]`, `["a"]`+position{offset{1, 3}, mark{"me", digestOf("b"), 1}}.String())
		h.show("b", 4)
		h.say(t, "c", patience)
		h.show("c", 5)
		h.want(t, `["c"]1-5`)
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
		h.want(t, early("a", offset{}, 1))
		time.Sleep(patience)
		synctest.Wait()
		h.want(t, early("b", offset{}, 1), "behind b")

		// A client that was not here when they were delivered gets them now, and not again from the
		// stream.
		if late := h.missedEarly([]string{"room"}); len(late) != 2 || string(late[0].JSON) != `["a","0-0-me-`+strconv.FormatUint(digestOf("a"), 16)+`-1"]` {
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
		h.want(t, early("away", offset{1, 1}, 1))
		h.say(t, "away", patience)
		h.close()
		h.want(t, early("away", offset{1, 1}, 2))
	})
}

// TestEqualBroadcastsAreNumbered: numbers count what the stream is still to show.
func TestEqualBroadcastsAreNumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeard()
		for range 3 {
			h.say(t, "a", atOnce)
			synctest.Wait()
		}
		h.want(t, early("a", offset{}, 1), early("a", offset{}, 2), early("a", offset{}, 3))
		h.show("a", 1)
		h.say(t, "a", atOnce)
		synctest.Wait()
		h.want(t, early("a", offset{1, 1}, 3))
		for i := range mostEarly {
			h.say(t, fmt.Sprint(i), atOnce)
			synctest.Wait()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if n := len(h.early); n > mostEarly {
			t.Errorf("%d broadcasts are kept", n)
		}
	})
}

// TestReplayLeavesOutWhatWasSeen: a client with a mark gets what came since, once.
func TestReplayLeavesOutWhatWasSeen(t *testing.T) {
	entries := []struct{ uid, data string }{
		{"me", "tick"}, {"other", "tick"}, {"me", "secret"}, {"me", "tick"}, {"other", "b"}, {"me", "tick"},
	}
	for _, c := range []struct {
		mark mark
		want string
	}{
		{mark{}, "tick tick tick b tick"},
		{mark{"me", digestOf("tick"), 1}, "tick tick b tick"},
		{mark{"me", digestOf("secret"), 1}, "tick tick b tick"},
		{mark{"me", digestOf("tick"), 2}, "tick b tick"},
		{mark{"me", digestOf("tick"), 3}, "tick b"},
		{mark{"me", digestOf("tick"), 4}, "tick tick tick b tick"}, // not in the stream yet
		{mark{"other", digestOf("b"), 1}, "tick tick tick"},
		{mark{"nobody", digestOf("tick"), 1}, "tick tick tick b tick"},
	} {
		r := replay{mark: c.mark}
		for _, e := range entries {
			r.add(&wire.Entry{UID: e.uid, Data: e.data}, linktest.Text(e.data), e.data != "secret")
		}
		var got []string
		for _, event := range r.events() {
			got = append(got, strings.Trim(string(event.JSON), `[]`))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("with %v: %q, want %q", c.mark, got, c.want)
		}
	}
}

func TestPositions(t *testing.T) {
	for _, p := range []position{
		{}, {offset: offset{1526919030474, 55}}, {offset{1, 2}, mark{"0123456789abcdef", 1<<64 - 1, 10_000}},
	} {
		text := p.String()
		if len(text) > maxPosition {
			t.Errorf("%s is too long", text)
		}
		if got, ok := parsePosition(text); !ok || got != p {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "1", "1-", "-1", "a-1", "1-2-3", "1-2-u-3", "1-2--3-1", "1-2-u-x-1", "1-2-u-3-0", "1-2-u-3--1", "1-2-u-3-x", "1-2-u-3-1-1",
		"99999999999999999999-1", "1-2-u-11111111111111111-1", "1-2-u-1-99999999999999999999", strings.Repeat("1", 200) + "-1",
	} {
		if p, ok := parsePosition(text); ok {
			t.Errorf("%q is taken for %v", text, p)
		}
	}
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
