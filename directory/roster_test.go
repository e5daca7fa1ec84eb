package directory

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sky plays Redis and time for a roster.
type sky struct {
	t       *testing.T
	r       *roster
	now     time.Time
	records map[string]*sighting
	members []string
	blind   bool
}

type sighting struct {
	w       Worker
	expires time.Time
}

func newSky(t *testing.T) *sky {
	return &sky{t: t, r: newRoster(90 * time.Second), now: time.Unix(1000, 0), records: make(map[string]*sighting)}
}

// beat writes a worker's record as a registration does.
func (s *sky) beat(id string, clients int) {
	s.records[id] = &sighting{Worker{V: 1, ID: id, State: StateReady, Clients: clients}, s.now.Add(recordTTL)}
	if !slices.Contains(s.members, id) {
		s.members = append(s.members, id)
	}
}

// look lets time pass and the roster see what is left.
func (s *sky) look(after time.Duration) news {
	s.now = s.now.Add(after)
	o := observation{at: s.now, blind: s.blind}
	for _, id := range s.members {
		one := seen{id: id}
		if rec := s.records[id]; rec != nil && s.now.Before(rec.expires) {
			one.raw, one.ttl = encode(rec.w), rec.expires.Sub(s.now)
		}
		o.workers = append(o.workers, one)
	}
	return s.r.observe(o)
}

func (s *sky) expect(id string, want State) {
	s.t.Helper()
	var got State
	if w := s.r.table(nil).Get(id); w != nil {
		got = w.State
	}
	if got != want {
		s.t.Fatalf("worker %s is %q, want %q", id, got, want)
	}
}

func TestExpiredRecordIsLostThenForgotten(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	s.expect("aaaa", StateReady)
	s.look(recordTTL - 1)
	s.expect("aaaa", StateReady)
	if n := s.look(1); len(n.lost) != 1 {
		t.Errorf("news %+v", n)
	}
	s.expect("aaaa", StateLost)
	if got := len(s.r.table(nil).Ready()); got != 0 {
		t.Errorf("%d ready workers", got)
	}
	s.look(90*time.Second - 1)
	s.expect("aaaa", StateLost)
	if n := s.look(1); len(n.forgotten) != 1 {
		t.Errorf("news %+v", n)
	}
	s.expect("aaaa", "")
}

func TestLostWorkerThatBeatsIsBack(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	s.look(recordTTL)
	s.expect("aaaa", StateLost)
	s.beat("aaaa", 0)
	if n := s.look(0); len(n.back) != 1 || !n.changed {
		t.Errorf("news %+v", n)
	}
	s.expect("aaaa", StateReady)
}

func TestVanishedRecordIsNotLostBeforeItsTime(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	clear(s.records) // Redis was restarted empty, faster than anybody noticed
	s.members = nil
	s.look(2 * time.Second)
	s.expect("aaaa", StateReady)
	s.beat("aaaa", 0)
	s.look(2 * time.Second)
	s.look(2 * time.Second)
	s.expect("aaaa", StateReady)
}

func TestNothingIsLostForOneTTLAfterRedisIsBack(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	clear(s.records)
	s.now = s.now.Add(time.Hour) // no looks: Redis was away
	s.r.returned(s.now)
	s.look(0)
	s.expect("aaaa", StateReady)
	s.look(recordTTL - 1)
	s.expect("aaaa", StateReady)
	s.look(1)
	s.expect("aaaa", StateLost)
}

func TestNothingIsLostWhileBlind(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	s.blind = true
	clear(s.records)
	s.look(time.Hour)
	s.expect("aaaa", StateReady)
}

func TestGoneWorkerDoesNotComeBackAsLeftover(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	if !s.r.died("aaaa", s.now) || s.r.died("aaaa", s.now) {
		t.Error("a death is news once")
	}
	s.expect("aaaa", "")
	s.look(time.Second) // the record is still there, or was written by a beat under way
	s.expect("aaaa", "")
	s.r.lives("aaaa", s.now) // but its own word counts
	s.look(0)
	s.expect("aaaa", StateReady)

	s.r.died("aaaa", s.now)
	for range 5 { // wrongly accused, and its word was not heard: it goes on beating
		s.beat("aaaa", 0)
		s.look(2 * time.Second)
	}
	s.expect("aaaa", StateReady)
}

func TestBeatIsSeenWhetherTheLoadChangedOrNot(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 3)
	s.look(0)
	beat := func() uint64 { return s.r.table(nil).Get("aaaa").Beat }
	first := beat()
	if n := s.look(time.Second); n.changed || beat() != first {
		t.Errorf("a beat was seen that was none: %+v", n)
	}
	s.now = s.now.Add(time.Second)
	s.beat("aaaa", 3)
	if n := s.look(0); !n.changed || beat() == first {
		t.Errorf("the same load beaten again was not seen: %+v", n)
	}
	second := beat()
	s.beat("aaaa", 4)
	if n := s.look(0); !n.changed || beat() == second {
		t.Errorf("another load was not seen: %+v", n)
	}
	if got := s.r.table(nil).Get("aaaa").Clients; got != 4 {
		t.Errorf("%d clients, want 4", got)
	}
}

func TestMembersWithoutRecordArePruned(t *testing.T) {
	s := newSky(t)
	s.members = []string{"dead"}
	if n := s.look(0); len(n.staleWorkers) != 0 {
		t.Error("pruned at first sight: it may just be registering")
	}
	if n := s.look(recordTTL - 1); len(n.staleWorkers) != 0 {
		t.Error("pruned too early")
	}
	if n := s.look(1); !slices.Equal(n.staleWorkers, []string{"dead"}) {
		t.Errorf("not pruned: %+v", n)
	}
	s.members = nil
	s.look(time.Hour)
	if len(s.r.missing) != 0 {
		t.Errorf("remembers %v", s.r.missing)
	}
}

func TestNextLookIsWhenARecordExpires(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.look(0)
	if got := s.r.nextExpiry(s.now, 2*time.Second); got != 2*time.Second {
		t.Errorf("fresh record: %v", got)
	}
	s.look(5 * time.Second)
	if got := s.r.nextExpiry(s.now, 2*time.Second); got != time.Second {
		t.Errorf("record with a second to go: %v", got)
	}
	s.look(time.Second)
	if got := s.r.nextExpiry(s.now, 2*time.Second); got != 2*time.Second {
		t.Errorf("lost: %v", got)
	}
}

func TestForeignRecordsAreSkipped(t *testing.T) {
	r := newRoster(90 * time.Second)
	n := r.observe(observation{at: time.Unix(1, 0), workers: []seen{
		{id: "next", raw: `{"v":2,"id":"next","state":"ready","new":[1]}`, ttl: recordTTL},
		{id: "v3v3", raw: `{"v":3,"id":"v3v3","state":"ready"}`, ttl: recordTTL},
		{id: "none", raw: `{"id":"none","state":"ready"}`, ttl: recordTTL},
		{id: "json", raw: `{`, ttl: recordTTL},
		{id: "liar", raw: `{"v":1,"id":"other","state":"ready"}`, ttl: recordTTL},
	}})
	if table := r.table(nil); len(table.All()) != 1 || table.Get("next") == nil {
		t.Errorf("%d workers", len(table.All()))
	}
	if len(n.unreadable) != 4 {
		t.Errorf("unreadable: %q", n.unreadable)
	}
}

// TestWorkersThatDrainedAreKnownForAWhile: their clients may not have heard of the end of their
// sessions.
func TestWorkersThatDrainedAreKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoster(time.Minute)
		for id, state := range map[string]State{"aaaa": StateDraining, "bbbb": StateReady} {
			r.saw(seen{id: id, raw: encode(Worker{V: 1, ID: id, State: state}), ttl: recordTTL}, time.Now(), &news{})
		}
		leaves := func(id string) bool { return r.table(nil).Leaves(id) }
		if !leaves("aaaa") || leaves("bbbb") || leaves("cccc") {
			t.Error("who drains leaves, and nobody else does")
		}
		r.died("aaaa", time.Now())
		r.died("bbbb", time.Now())
		time.Sleep(lateTime - 1)
		if !leaves("aaaa") || leaves("bbbb") {
			t.Error("who has drained leaves, who was killed does not")
		}
		if time.Sleep(time.Nanosecond); leaves("aaaa") {
			t.Error("nobody leaves for ever")
		}
		if r.observe(observation{at: time.Now().Add(1)}); len(r.left) > 0 {
			t.Error("remembered for ever")
		}
	})
}
