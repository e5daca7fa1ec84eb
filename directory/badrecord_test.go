package directory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestOneBadKeyCostsNobodyElse: keys that hold something else than they should are ignored, one by
// one.
func TestOneBadKeyCostsNobodyElse(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, said := door(t, r.URL(), "router-a")
	before, _ := join(t, node(t, r.URL()), Worker{}, a)
	defer watchFor(t, a, before.ID())()
	ignored := map[string]func(key string){
		"hash": func(key string) { r.Do("HSET", key, "a", "b") },
		"huge": func(key string) { r.Do("SET", key, strings.Repeat("x", 1<<20), "PX", 600_000) },
		"ever": func(key string) { r.Do("SET", key, encode(Worker{V: 1, ID: "ever", State: StateReady})) },
		"text": func(key string) { r.Do("SET", key, "{", "PX", 600_000) },
		"late": func(key string) { r.Do("SET", key, `{"v":9,"id":"late","state":"ready"}`, "PX", 600_000) },
	}
	for id, spoil := range ignored {
		spoil(a.keys.worker(id))
		spoil(a.keys.router(id))
		r.Do("SADD", a.keys.workers(), id)
		r.Do("SADD", a.keys.routers(), id)
	}
	r.Do("SADD", a.keys.workers(), "\x00\r\n", strings.Repeat("x", 1<<16), "")
	moreLooks(t, 2, a)
	after, _ := join(t, node(t, r.URL()), Worker{}, a)
	for _, w := range a.Workers().All() {
		if w.ID != before.ID() && w.ID != after.ID() {
			t.Errorf("in the table: %+v", w)
		}
	}
	testkit.Until(t, "ids that can't be ones to be pruned", func() bool {
		ids := r.Do("SMEMBERS", a.keys.workers()).([]any)
		return !slices.ContainsFunc(ids, func(id any) bool { return !isID(id.(string)) })
	})
	testkit.Until(t, "what nobody beats to be pruned", func() bool {
		ids := fmt.Sprint(r.Do("SMEMBERS", a.keys.workers()))
		return !strings.Contains(ids, "hash") && !strings.Contains(ids, "ever") && !strings.Contains(ids, "huge")
	})
	for id := range ignored {
		if n := said.Count(`"record":"` + id + ": "); n != 1 && n != 2 { // a worker's and a router's
			t.Errorf("%s is said %d times:\n%s", id, n, said)
		}
	}
	if n := said.Count(`"level":"debug","record"`); n > 0 {
		t.Errorf("said at debug level")
	}
}

// TestSetOfAnotherTypeIsMadeAnew: nobody could join before an operator deleted the key.
func TestSetOfAnotherTypeIsMadeAnew(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, _ := door(t, r.URL(), "router-a")
	before, _ := join(t, node(t, r.URL()), Worker{}, a)
	defer watchFor(t, a, before.ID())()
	for _, set := range []string{a.keys.workers(), a.keys.routers()} {
		r.Do("SET", set, "nonsense")
	}
	after, _ := join(t, node(t, r.URL()), Worker{}, a)
	b, _ := door(t, r.URL(), "router-b")
	for _, id := range []string{before.ID(), after.ID()} {
		awaitState(t, b, id, StateReady)
	}
	testkit.Await(t, "both routers", b.Changed, func() bool { return len(b.Workers().Routers()) == 2 })
}

// TestSetWithTooManyMembersIsReadInPart and still shows who joins.
func TestSetWithTooManyMembersIsReadInPart(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, said := door(t, r.URL(), "router-a")
	const total = 50_000
	for i := 0; i < total; i += 10_000 {
		args := []any{"SADD", a.keys.workers()}
		for n := range 10_000 {
			args = append(args, fmt.Sprintf("!%06d", i+n)) // before all ids that are real
		}
		r.Do(args...)
	}
	moreLooks(t, 1, a)
	moreLooks(t, 1, a)
	reg, _ := join(t, node(t, r.URL()), Worker{}, a)
	testkit.Until(t, "members without records to be pruned", func() bool {
		return r.Do("SCARD", a.keys.workers()).(int64) < total
	})
	if w := a.Workers().Get(reg.ID()); w == nil || w.State != StateReady {
		t.Errorf("the worker is %+v", w)
	}
	if !strings.Contains(said.String(), "more than 4096 members") {
		t.Errorf("not said:\n%s", said)
	}
	a.follower.mu.Lock()
	defer a.follower.mu.Unlock()
	if n := len(a.follower.roster.missing); n > 2*maxMembers {
		t.Errorf("%d members are remembered", n)
	}
}

// TestHostileRecordsAreTamed: numbers and states as no record of ours has them.
func TestHostileRecordsAreTamed(t *testing.T) {
	for raw, want := range map[string]Worker{
		`{"v":1,"id":"wwww","state":"ready","clients":-9223372036854775808}`: {State: StateReady},
		`{"v":1,"id":"wwww","state":"ready","clients":9223372036854775807}`:  {State: StateReady, Clients: 1<<31 - 1},
		`{"v":1,"id":"wwww","state":"lost"}`:                                 {State: StateStarting},
		`{"v":1,"id":"wwww","state":"anything {}\""}`:                        {State: StateStarting},
	} {
		w, err := decodeWorker(raw, "wwww")
		if err != nil || w.State != want.State || w.Clients != want.Clients {
			t.Errorf("%s: %+v, %v", raw, w, err)
		}
	}
	if _, err := decodeWorker(`{"v":1,"id":"wwww","host":"`+strings.Repeat("x", maxRecord)+`"}`, "wwww"); err == nil {
		t.Error("a huge record is taken")
	}
}
