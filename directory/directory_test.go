package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := Open(t.Context(), Config{App: "a{b}", SIDTTL: 1, CacheSize: 1})
	for _, name := range []string{"Redis.URL", "App", "SIDTTL", "CacheSize"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestPortsHaveAppsOfTheirOwn(t *testing.T) {
	_, url := mini(t)
	conn := connect(t, url)
	for app, ok := range map[string]bool{
		PortApp("", 3000): true, PortApp("shop.eu", 443): true, "shop:": false, "shop:0": false, "shop:65536": false, ":3000": false, "a:1:2": false,
	} {
		if _, err := Open(t.Context(), Config{Conn: conn, App: app}); (err == nil) != ok {
			t.Errorf("%q: %v", app, err)
		}
	}
}

func TestWorkersAreCountedByState(t *testing.T) {
	_, url := mini(t)
	reg := prometheus.NewRegistry()
	d, err := Open(t.Context(), Config{Conn: connect(t, url), Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	inSync(t, d)
	join(t, d, Worker{}, d)
	want := `# HELP sidereal_directory_workers Workers of the app as this process knows them, by state: starting, ready, draining, lost, sick.
# TYPE sidereal_directory_workers gauge
sidereal_directory_workers{state="draining"} 0
sidereal_directory_workers{state="lost"} 0
sidereal_directory_workers{state="ready"} 1
sidereal_directory_workers{state="sick"} 0
sidereal_directory_workers{state="starting"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sidereal_directory_workers"); err != nil {
		t.Error(err)
	}
}

func TestRoutersAgreeOnOneSecret(t *testing.T) {
	_, url := mini(t)
	a, b := node(t, url), node(t, url)
	first, err := a.Secret(context.Background())
	if err != nil || len(first) != 43 {
		t.Fatalf("%d characters, %v", len(first), err)
	}
	if second, err := b.Secret(context.Background()); second != first || err != nil {
		t.Errorf("two secrets, %v", err)
	}
}

func TestEmptySecretOpensNoDoor(t *testing.T) {
	m, url := mini(t)
	if err := m.Set("{sidereal:default}:secret", ""); err != nil {
		t.Fatal(err)
	}
	d := node(t, url)
	got, err := d.Secret(context.Background())
	if err != nil || len(got) != 43 || d.Accepts(t.Context(), "") {
		t.Errorf("got %q, %v", got, err)
	}
	if there, err := m.Get("{sidereal:default}:secret"); there != got || err != nil {
		t.Errorf("Redis has %q, %v", there, err)
	}
}

func TestPruneLeavesTheLiving(t *testing.T) {
	m, url := mini(t)
	d := node(t, url)
	if _, err := m.SAdd("{sidereal:default}:workers", "dead", "live"); err != nil {
		t.Fatal(err)
	}
	if err := d.follower.prune(context.Background(), news{staleWorkers: []string{"dead"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := m.SMembers("{sidereal:default}:workers"); len(got) != 1 || got[0] != "live" {
		t.Errorf("left: %q, %v", got, err)
	}
}

func TestCheckNamesTheMissingRight(t *testing.T) {
	r := testkit.StartRedis(t)
	ctx := context.Background()
	admin := connect(t, r.URL()).Client()
	as := func(user string, rules ...any) *Directory {
		t.Helper()
		args := append([]any{"ACL", "SETUSER", user, "reset", "on", ">p"}, rules...)
		if err := admin.Do(ctx, args...).Err(); err != nil {
			t.Fatal(err)
		}
		conn := connect(t, "redis://"+user+":p@"+r.Addr())
		d, err := Open(t.Context(), Config{Conn: conn})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	least := []any{
		"+hello", "+auth", "+ping", "+get", "+mget", "+set", "+incrby", "+del", "+exists", "+pttl", "+sadd", "+srem", "+smembers", "+hset", "+hdel", "+hgetall",
		"+publish", "+subscribe", "~sidereal:default:sid:*", "~{sidereal:default}:*", "&{sidereal:default}:events",
	}
	if err := as("least", least...).Check(ctx); err != nil {
		t.Errorf("with the least rights: %v", err)
	}
	for _, without := range []string{"set", "get", "mget", "incrby", "del", "pttl", "sadd", "smembers", "publish", "subscribe"} {
		err := as("no-"+without, append(least[:len(least):len(least)], "-"+without)...).Check(ctx)
		if !errors.Is(err, redisconn.ErrRights) || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v", without, err)
		}
	}
	err := as("other", append(least[:len(least):len(least)], "resetkeys", "~sidereal:other:*")...).Check(ctx)
	if !errors.Is(err, redisconn.ErrRights) {
		t.Errorf("without the keys: %v", err)
	}
}

func TestOnRedisCluster(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(testkit.FreePort(t)))
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	single := connect(t, r.URL()).Client()
	if err := single.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for single.Set(ctx, "probe", "", 0).Err() != nil { // until the node finds its cluster complete
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
	}
	url := "redis+cluster://" + r.Addr()
	a, seen := logged(t, url)
	b := node(t, url)
	if err := a.Check(ctx); err != nil {
		t.Error(err)
	}
	reg, _ := join(t, a, Worker{Tags: true}, a, b)
	sids := make([]string, 100) // over many slots, in shared pipelines
	for i := range sids {
		sids[i] = MintSID(reg.ID())
		a.Learn(ctx, sids[i], reg.ID(), 0)
	}
	settle(a)
	for _, sid := range sids {
		expectOwner(t, b, sid, reg.ID(), DecisionTable)
	}
	if _, err := b.Secret(ctx); err != nil {
		t.Error(err)
	}
	b.WorkerGone(reg.ID())
	testkit.Until(t, "the other router to hear of it", func() bool { return len(seen.about(reg.ID())) > 0 }) // it may be back already
}

func TestStaticAnswersFromMemory(t *testing.T) {
	s := NewStatic(Worker{ID: "node"}, Worker{ID: "goes", Tags: true})
	ctx := context.Background()
	expect := func(sid, id, decision string) {
		t.Helper()
		if o := s.Owner(ctx, sid); o.Worker != nil && o.WorkerID != id || o.Decision != decision || (o.Worker == nil) != (id == "") {
			t.Errorf("%s: %+v", sid, o)
		}
	}
	s.Learn(ctx, "s", "node", 0)
	expect("s", "node", DecisionCache)
	expect("other", "", DecisionUnknown)
	expect(MintSID("goes"), "goes", DecisionTag)
	expect(MintSID("node"), "", DecisionUnknown)
	changed := s.Changed()
	s.WorkerGone("goes")
	testkit.Closed(t, "a change", changed)
	expect(MintSID("goes"), "", DecisionUnknown)
	if secret, err := s.Secret(ctx); secret == "" || err != nil {
		t.Errorf("secret %q, %v", secret, err)
	}
}
