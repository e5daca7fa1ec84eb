package directory

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func expectOwner(t *testing.T, d *Directory, sid, id, decision string) {
	t.Helper()
	o := d.Owner(context.Background(), sid)
	if o.Worker != nil && o.WorkerID != id || o.Decision != decision || (o.Worker == nil) != (id == "") {
		t.Fatalf("owner of %s: %q by %s (record: %v), want %q by %s", sid, o.WorkerID, o.Decision, o.Worker != nil, id, decision)
	}
}

// settle returns once d has sent all writes that it began before.
func settle(d *Directory) {
	d.Learn(context.Background(), MintSID("____"), "____", 0)
}

func TestEveryRouterFindsWhatOneLearned(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg, _ := join(t, a, Worker{}, a, b)
	const sid = "any server's sid"
	expectOwner(t, b, sid, "", DecisionUnknown)
	a.Learn(context.Background(), sid, reg.ID(), 0)
	if ttl := m.TTL("sidereal:default:sid:" + sid); ttl != 90*time.Second {
		t.Errorf("TTL %v", ttl)
	}
	expectOwner(t, a, sid, reg.ID(), DecisionCache)
	expectOwner(t, b, sid, reg.ID(), DecisionTable)
	expectOwner(t, b, sid, reg.ID(), DecisionCache)
}

func TestTTLCoversTheLongestSilenceOfAClient(t *testing.T) {
	m, url := mini(t)
	a := node(t, url)
	a.Learn(context.Background(), "s", "wwww", EntryTTL(2*time.Minute, 20*time.Second))
	if ttl := m.TTL("sidereal:default:sid:s"); ttl != 170*time.Second {
		t.Errorf("TTL %v, want 120 + 20 + 30 s", ttl)
	}
	a.Learn(context.Background(), "r", "wwww", EntryTTL(25*time.Second, 20*time.Second))
	if ttl := m.TTL("sidereal:default:sid:r"); ttl != 90*time.Second {
		t.Errorf("TTL %v, want the configured 90 s", ttl)
	}
}

func TestTagAnswersWhereTheTableDoesNot(t *testing.T) {
	_, url := mini(t)
	a := node(t, url)
	tagging, _ := join(t, a, Worker{Tags: true}, a)
	plain, _ := join(t, a, Worker{}, a)
	expectOwner(t, a, MintSID(tagging.ID()), tagging.ID(), DecisionTag)
	expectOwner(t, a, MintSID(plain.ID()), "", DecisionUnknown)
	expectOwner(t, a, MintSID("----"), "", DecisionUnknown)
	expectOwner(t, a, "", "", DecisionUnknown)
	expectOwner(t, a, strings.Repeat("x", 1<<16), "", DecisionUnknown)

	lookalike := MintSID(tagging.ID()) // a Node sid may begin with anything
	a.Learn(context.Background(), lookalike, plain.ID(), 0)
	expectOwner(t, node(t, url), lookalike, plain.ID(), DecisionTable)
}

// A client may use a tagged sid at any router at once, before its key is written: also at a router
// that has not heard of the worker.
func TestTaggedSIDsAreFoundBeforeTheyAreWritten(t *testing.T) {
	m, url := mini(t)
	a := node(t, url)
	reg, _ := join(t, a, Worker{Tags: true}, a)
	commands := countSidCommands(m)
	sid := MintSID(reg.ID())
	a.Learn(context.Background(), sid, reg.ID(), 0)
	late, err := Open(t.Context(), Config{Conn: connect(t, url)}) // it does not run: its table stays empty
	if err != nil {
		t.Fatal(err)
	}
	if o := late.Owner(context.Background(), MintSID(reg.ID())); o.WorkerID != reg.ID() || o.Decision != DecisionTag {
		t.Errorf("at a router that knows no worker: %+v", o)
	}
	if o := late.Owner(context.Background(), MintSID("____")); o.Decision != DecisionUnknown {
		t.Errorf("of nobody: %+v", o)
	}
	settle(a)
	commands.expect(t, "in the end", map[string]int{"SET": 2, "GET": 2})
}

func TestGoneOwnerIsUnknownAtOnceEverywhere(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg, err := a.RegisterWorker(context.Background(), Worker{State: StateReady, Tags: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, reg.Run)
	awaitState(t, a, reg.ID(), StateReady)
	awaitState(t, b, reg.ID(), StateReady)
	sid := MintSID(reg.ID())
	a.Learn(context.Background(), sid, reg.ID(), 0)
	settle(a)
	expectOwner(t, b, sid, reg.ID(), DecisionTable)
	stop()
	awaitState(t, a, reg.ID(), "")
	awaitState(t, b, reg.ID(), "")
	expectOwner(t, a, sid, "", DecisionUnknown)
	expectOwner(t, b, sid, "", DecisionUnknown)
	if o := b.Owner(context.Background(), sid); o.WorkerID != reg.ID() {
		t.Errorf("the owner was %q, not %q", reg.ID(), o.WorkerID)
	}
	if m.Exists("{sidereal:default}:worker:" + reg.ID()) {
		t.Error("the record is still there")
	}
}

func TestTouchRestoresALostKey(t *testing.T) {
	m, url := mini(t)
	a := node(t, url)
	a.Learn(context.Background(), "s", "wwww", 0)
	m.Del("sidereal:default:sid:s")
	a.Touch("s")
	settle(a)
	if m.Exists("sidereal:default:sid:s") {
		t.Error("renewed though it was written just now")
	}
	a.sids.cache.wrote("s", a.now()-int64(31*time.Second))
	a.Touch("s")
	settle(a)
	if got, err := m.Get("sidereal:default:sid:s"); got != "wwww" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRenewalNeverShortens(t *testing.T) {
	m, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg, _ := join(t, a, Worker{}, a, b)
	long := EntryTTL(2*time.Minute, 20*time.Second)
	a.Learn(context.Background(), "s", reg.ID(), long)
	m.FastForward(100 * time.Second) // 70 s are left
	b.Learn(context.Background(), "other", reg.ID(), long)
	expectOwner(t, b, "s", reg.ID(), DecisionTable)
	b.Touch("s") // due: more than a third has passed since it was written
	settle(b)
	if ttl := m.TTL("sidereal:default:sid:s"); ttl != 170*time.Second {
		t.Errorf("TTL %v, want the worker's 170 s", ttl)
	}
}

func TestLearnDoesNotWaitForAStoppedRedis(t *testing.T) {
	r := testkit.StartRedis(t)
	a := node(t, r.URL())
	reg, _ := join(t, a, Worker{}, a)
	r.Stop()
	a.Learn(context.Background(), "s", reg.ID(), 0) // returns, or the test times out
	expectOwner(t, a, "s", reg.ID(), DecisionCache)
	r.Cont()
	awaitKey(t, r.URL(), "sidereal:default:sid:s", reg.ID())
}

// awaitKey asks a Redis for a key until it has the value. Redis tells nobody of keys, so this has
// to ask again and again.
func awaitKey(t *testing.T, url, key, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	client := connect(t, url).Client()
	for ctx.Err() == nil {
		got, err := client.Get(ctx, key).Result()
		if got == want {
			return
		}
		if err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s never became %q", key, want)
}
