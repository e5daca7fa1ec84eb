package directory

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// shelf is a Redis that takes a millisecond for a batch, and has the keys that begin with "real".
type shelf struct{ asked, batches, flying, most atomic.Int64 }

func (s *shelf) fetch(keys []string) []answer {
	s.most.Store(max(s.most.Load(), s.flying.Add(1)))
	defer s.flying.Add(-1)
	s.asked.Add(int64(len(keys)))
	s.batches.Add(1)
	time.Sleep(time.Millisecond) // a bubble's
	all := make([]answer, len(keys))
	for i, k := range keys {
		all[i].asked = true
		if all[i].found = strings.HasPrefix(k, "real"); all[i].found {
			all[i].value = "of " + k
		}
	}
	return all
}

func onePlace(string) string { return "" }

// TestStuckPlaceHoldsUpNobodyElse: a node that answers nothing, asked for many keys, delays no
// look-up at another.
func TestStuckPlaceHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		stuck := make(chan struct{})
		l := newLookups(func(keys []string) []answer {
			if strings.HasSuffix(keys[0], "stuck") {
				<-stuck
			}
			return s.fetch(keys)
		}, func(key string) string { return key[max(len(key)-5, 0):] })
		defer l.close()
		var asking sync.WaitGroup
		for i := range 2 * maxFlights { // each in a batch of its own
			asking.Go(func() { l.ask(t.Context(), fmt.Sprint("real", i, "stuck"), true) })
			synctest.Wait()
		}
		begun := time.Now()
		if a := l.ask(t.Context(), "real other", true); a.value != "of real other" || time.Since(begun) > 10*time.Millisecond {
			t.Errorf("%+v after %v", a, time.Since(begun))
		}
		close(stuck)
		asking.Wait()
		synctest.Wait()
		if len(l.lanes) != 0 {
			t.Errorf("%d lanes remain", len(l.lanes))
		}
	})
}

// TestFloodOfLookupsIsBounded: an attacker's sids cost Redis so much and no more, and whoever waits
// its turn is found.
func TestFloodOfLookupsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		l := newLookups(s.fetch, onePlace)
		defer l.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var flood sync.WaitGroup
		var answered atomic.Int64
		for i := range 50_000 {
			flood.Go(func() {
				if l.ask(ctx, fmt.Sprint("random", i), true).asked {
					answered.Add(1)
				}
			})
		}
		synctest.Wait()
		if s.asked.Load() > maxFlights*maxBatch {
			t.Errorf("%d asked at once", s.asked.Load())
		}
		if l.ask(ctx, "real one with a tag", false).asked {
			t.Error("who has another answer waits for their turn")
		}
		time.Sleep(500 * time.Millisecond) // the queue goes down meanwhile
		if a := l.ask(ctx, "real", true); a.value != "of real" {
			t.Errorf("%+v of one that is there", a)
		}
		flood.Wait()
		if n := s.asked.Load(); n > missesAtOnce+missesPerSecond+1 || n > maxAsked+missesAtOnce+1 {
			t.Errorf("%d asked in a second", n)
		}
		if answered.Load() < missesAtOnce || s.most.Load() > maxFlights {
			t.Errorf("%d answered, %d at a time", answered.Load(), s.most.Load())
		}
	})
}

// TestStormOfClientsIsNotPaced: sessions that exist are found as fast as Redis answers.
func TestStormOfClientsIsNotPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		l := newLookups(s.fetch, onePlace)
		defer l.close()
		start := time.Now()
		var storm sync.WaitGroup
		for range 25 {
			for i := range 4000 {
				storm.Go(func() {
					if a := l.ask(t.Context(), fmt.Sprint("real", i), true); !a.found {
						t.Errorf("%d not found", i)
					}
				})
			}
			storm.Wait()
		}
		// At 128 a millisecond and 4 batches at a time these are 200 ms, and at the pace of misses
		// 10 s.
		if took := time.Since(start); took > time.Second {
			t.Errorf("100,000 took %v", took)
		}
	})
}

// TestLookupOfThoseThatLeftIsNotSent, and those that ask for one thing share an answer.
func TestLookupOfThoseThatLeftIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shelf
		l := newLookups(s.fetch, onePlace)
		defer l.close()
		l.misses = 0
		ctx, cancel := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		for range 100 {
			asking.Go(func() { l.ask(ctx, "left", true) })
			asking.Go(func() {
				if !l.ask(t.Context(), "real", true).found {
					t.Error("not found")
				}
			})
		}
		synctest.Wait()
		if a := l.ask(t.Context(), "other", false); a.asked {
			t.Errorf("%+v without a wait", a)
		}
		cancel()
		asking.Wait()
		if s.asked.Load() > 2 {
			t.Errorf("%d asked", s.asked.Load())
		}
	})
}

// TestUnknownSIDsCostOneCommand where the worker that they seem to be of was looked for just
// before, and none about a worker more than once a second.
func TestUnknownSIDsCostOneCommand(t *testing.T) {
	m, url := mini(t)
	d := node(t, url)
	commands := countCommands(m, ":sid:", ":worker:")
	for range 10 {
		if o := d.Owner(t.Context(), MintSID("none")); o.Worker != nil {
			t.Fatalf("%+v", o)
		}
	}
	got := commands.take() // it was GET 20, PTTL 10; the looks ask for nobody, for there is nobody
	if got["GET"] < 11 || got["GET"] > 10+3 || got["PTTL"] != 0 {
		t.Errorf("%v", got)
	}
}

// TestNewWorkerIsFoundAtOnce though its id was unknown a moment ago, and a session that is just
// made elsewhere.
func TestNewWorkerIsFoundAtOnce(t *testing.T) {
	_, url := mini(t)
	a, b := node(t, url), node(t, url)
	sid, other := MintSID("newW"), strings.Repeat("x", maxSID)
	if o := b.Owner(t.Context(), sid); o.Worker != nil {
		t.Fatalf("%+v before it is there", o)
	}
	if o := b.Owner(t.Context(), other); o.Worker != nil {
		t.Fatalf("%+v before it is there", o)
	}
	reg, _ := join(t, a, Worker{ID: "newW", Tags: true}, a, b)
	if o := b.Owner(t.Context(), sid); o.WorkerID != reg.ID() || o.Worker == nil {
		t.Errorf("%+v of a sid with its tag", o)
	}
	a.Learn(t.Context(), other, reg.ID(), time.Minute)
	if o := b.Owner(t.Context(), other); o.WorkerID != reg.ID() || o.Decision != DecisionTable {
		t.Errorf("%+v of a session that is just made", o)
	}
}

func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s strangers
		_, news := s.has("aaaa")
		s.came("aaaa") // while Redis was asked
		s.add("aaaa", news)
		if is, _ := s.has("aaaa"); is {
			t.Error("one that came meanwhile")
		}
		_, news = s.has("aaaa")
		s.add("aaaa", news)
		if is, _ := s.has("aaaa"); !is {
			t.Error("not remembered")
		}
		s.came("aaaa")
		if is, _ := s.has("aaaa"); is {
			t.Error("one that came")
		}
		_, news = s.has("aaaa")
		for i := range 3 * maxStrangers {
			s.add(fmt.Sprint(i), news)
		}
		if len(s.until) > maxStrangers {
			t.Errorf("%d remembered", len(s.until))
		}
		s.add("bbbb", news)
		time.Sleep(strangerFor)
		if is, _ := s.has("bbbb"); is {
			t.Error("for too long")
		}
		s.add("cccc", news)
		s.forget()
		if is, _ := s.has("cccc"); is {
			t.Error("not forgotten")
		}
	})
}
