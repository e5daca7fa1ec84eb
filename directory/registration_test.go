package directory

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestWorkerRecordInRedis(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	var load atomic.Int64
	load.Store(7)
	reg, err := d.RegisterWorker(context.Background(), Worker{
		Slot: 2, Host: "host-a", PID: 123, Addr: "10.0.0.1:8080", Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Version: "v1", Adapter: "redis", Path: "/socket.io/", Tags: true,
	}, func() int { return int(load.Load()) })
	if err != nil {
		t.Fatal(err)
	}
	reg.Update(func(w *Worker) { w.Handoff, w.State, w.ID = "/run/x.sock", StateReady, "nope" })
	testkit.Run(t, reg.Run)
	awaitState(t, d, reg.ID(), StateReady)

	key := "{sidereal:default}:worker:" + reg.ID()
	got, err := m.Get(key)
	want := `{"v":1,"id":"` + reg.ID() + `","slot":2,"host":"host-a","pid":123,"addr":"10.0.0.1:8080","handoff":"/run/x.sock",` +
		`"state":"ready","clients":7,"started":"2026-01-02T03:04:05Z","version":"v1","adapter":"redis","path":"/socket.io/","tags":true}`
	if err != nil || got != want {
		t.Errorf("record\n got %s\nwant %s", got, want)
	}
	if ttl := m.TTL(key); ttl != 6*time.Second {
		t.Errorf("TTL %v", ttl)
	}
	if ok, err := m.SIsMember("{sidereal:default}:workers", reg.ID()); !ok || err != nil {
		t.Errorf("not a member: %v", err)
	}
	load.Store(9)
	testkit.Await(t, "the new load", d.Changed, func() bool { return d.Workers().Get(reg.ID()).Clients == 9 })
}

func TestWorkerLifeIsSeenByEvents(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	events := make(chan string, 16)
	sub := connect(t, url).Subscribe(redisconn.SubConfig{
		Channels:  []string{"{sidereal:default}:events"},
		OnMessage: func(_ string, payload []byte) bool { events <- string(payload); return false },
	})
	testkit.Run(t, sub.Run)
	if err := sub.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	reg, err := d.RegisterWorker(context.Background(), Worker{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, reg.Run)
	awaitState(t, d, reg.ID(), StateStarting)
	for _, state := range []State{StateReady, StateDraining} {
		reg.SetState(state)
		awaitState(t, d, reg.ID(), state)
		if got, want := testkit.Receive(t, "event", events), `{"worker":"`+reg.ID()+`","state":"`+string(state)+`"}`; got != want {
			t.Errorf("event %s, want %s", got, want)
		}
		if n := len(d.Workers().Ready()); (n == 1) != (state == StateReady) {
			t.Errorf("%d ready workers when it is %s", n, state)
		}
	}
	stop()
	if got, want := testkit.Receive(t, "goodbye", events), `{"worker":"`+reg.ID()+`","state":"gone"}`; got != want {
		t.Errorf("event %s, want %s", got, want)
	}
	awaitState(t, d, reg.ID(), "")
	if m.Exists("{sidereal:default}:worker:"+reg.ID()) || m.Exists("{sidereal:default}:workers") {
		t.Errorf("left behind:\n%s", m.Dump())
	}
}

func TestIDsAreClaimedOnce(t *testing.T) {
	_, url := mini(t)
	d := node(t, url)
	first, err := d.RegisterWorker(context.Background(), Worker{ID: "mine"}, nil)
	if err != nil || first.ID() != "mine" {
		t.Fatal(first, err)
	}
	if _, err := d.RegisterWorker(context.Background(), Worker{ID: "mine"}, nil); !errors.Is(err, errTaken) {
		t.Errorf("got %v, want errTaken", err)
	}
	second, err := d.RegisterWorker(context.Background(), Worker{}, nil)
	if err != nil || !regexp.MustCompile(`^[A-Za-z0-9_-]{4}$`).MatchString(second.ID()) {
		t.Errorf("got %v, %v", second, err)
	}
}

func TestRegisteringWaitsForRedis(t *testing.T) {
	m, url := mini(t)
	d := node(t, url)
	m.Close()
	d.conn.Doubt()
	testkit.Await(t, "Redis down", d.conn.Changed, func() bool { return !d.conn.Up() })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.RegisterWorker(ctx, Worker{}, nil); !errors.Is(err, context.Canceled) || !errors.Is(err, redisconn.ErrUnreachable) {
		t.Errorf("got %v, want to know that Redis was not there", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := d.RegisterWorker(context.Background(), Worker{}, nil)
		done <- err
	}()
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, "registered", done); err != nil {
		t.Error(err)
	}
}

func TestRegisteringEndsWithItsContext(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	d := node(t, url) // Redis is up: only the claim itself fails
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.RegisterWorker(ctx, Worker{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWorkerThatWasCalledDeadComesBack(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	a, b := node(t, url), node(t, url)
	reg := joinOnce(t, a, Worker{}, a, b)
	a.WorkerGone(reg.ID())
	if a.Workers().Get(reg.ID()) != nil {
		t.Error("known after WorkerGone returned")
	}
	awaitState(t, b, reg.ID(), "")
	testkit.Run(t, reg.Run)
	awaitState(t, a, reg.ID(), StateReady) // its next beat finds the record removed and says that it is ready
	awaitState(t, b, reg.ID(), StateReady)
}

func TestSilentWorkerIsLost(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	d := node(t, url)
	reg, err := d.RegisterWorker(context.Background(), Worker{State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.beat(context.Background(), told{}); err != nil { // once, and never again
		t.Fatal(err)
	}
	sid := MintSID(reg.ID())
	d.Learn(context.Background(), sid, reg.ID(), 0)
	awaitState(t, d, reg.ID(), StateReady)
	join(t, node(t, url), Worker{}, d)                          // who goes on to beat
	d.client.Del(context.Background(), d.keys.worker(reg.ID())) // as its TTL would: an in-memory Redis's clock stands still
	awaitState(t, d, reg.ID(), StateLost)
	if n := len(d.Workers().Ready()); n != 1 {
		t.Errorf("%d ready workers", n)
	}
	expectOwner(t, d, sid, reg.ID(), DecisionCache)
}

func TestRouterRegistersToo(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d := node(t, url)
	reg, err := d.RegisterRouter(context.Background(), Router{Host: "host-a", Addr: "10.0.0.1:8080", State: StateReady, Version: "v1"}, func() int { return 3 })
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, reg.Run)
	testkit.Await(t, "the router", d.Changed, func() bool { return len(d.Workers().Routers()) == 1 })
	got, err := json.Marshal(d.Workers().Routers()[0])
	want := `{"v":1,"id":"` + reg.ID() + `","host":"host-a","addr":"10.0.0.1:8080","state":"ready","sessions":3,"started":"0001-01-01T00:00:00Z","version":"v1"}`
	if err != nil || string(got) != want {
		t.Errorf("record\n got %s\nwant %s", got, want)
	}
	stop()
	if m.Exists("{sidereal:default}:router:"+reg.ID()) || m.Exists("{sidereal:default}:routers") {
		t.Errorf("left behind:\n%s", m.Dump())
	}
	testkit.Await(t, "the router to leave", d.Changed, func() bool { return len(d.Workers().Routers()) == 0 })
}

func TestAppsDoNotMix(t *testing.T) {
	_, url := mini(t)
	shop, err := Open(t.Context(), Config{Conn: connect(t, url), App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, shop.Run)
	inSync(t, shop)
	d := node(t, url)
	mine, _ := join(t, d, Worker{}, d)
	theirs, _ := join(t, shop, Worker{}, shop)
	if d.Workers().Get(theirs.ID()) != nil || shop.Workers().Get(mine.ID()) != nil {
		t.Error("one app sees the other's workers")
	}
}
