package directory

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// fleet is what upstreams would answer, and what their names stand for.
type fleet struct {
	mu      sync.Mutex
	answers map[string]verdict // by upstream; good where there is none
	names   map[string][]netip.Addr
	checks  int
}

func (f *fleet) set(id string, v verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[id] = v
}

// resolve makes name stand for these addresses; for none: nobody knows it.
func (f *fleet) resolve(name string, addrs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[name] = nil
	for _, a := range addrs {
		f.names[name] = append(f.names[name], netip.MustParseAddr(a))
	}
}

func (f *fleet) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[host] == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return slices.Clone(f.names[host]), nil
}

func (f *fleet) check(_ context.Context, b *Upstream) verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checks++
	return f.answers[b.id]
}

// pass lets time go by, in a bubble.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// inBubble runs test with an Upstreams of that list, in fake time.
func inBubble(t *testing.T, list string, test func(t *testing.T, u *Upstreams, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{answers: make(map[string]verdict), names: make(map[string][]netip.Addr)}
		f.resolve("app", "10.0.0.1", "10.0.0.2")
		u, err := NewUpstreams(UpstreamConfig{List: list, Resolver: f})
		if err != nil {
			t.Fatal(err)
		}
		u.check = f.check
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- u.Run(ctx) }()
		synctest.Wait()
		test(t, u, f)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// states is the table in one line.
func states(u *Upstreams) string {
	var all []string
	for _, w := range u.Workers().All() {
		all = append(all, strings.TrimPrefix(w.ID, "http://")+" "+string(w.State))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func expectStates(t *testing.T, u *Upstreams, want string) {
	t.Helper()
	if got := states(u); got != want {
		t.Errorf("%s\n\twant %s", got, want)
	}
}

func TestNamesAreLookedUpAgain(t *testing.T) {
	inBubble(t, "http://app:3000,http://10.0.0.9:80", func(t *testing.T, u *Upstreams, f *fleet) {
		expectStates(t, u, "10.0.0.1:3000 ready, 10.0.0.2:3000 ready, 10.0.0.9:80 ready")
		u.Learn(t.Context(), "one", "http://10.0.0.1:3000", time.Minute)
		u.Workers().Get("http://10.0.0.1:3000").Upstream.Opened("one", time.Minute)
		f.resolve("app", "10.0.0.2", "10.0.0.3")
		pass(6 * time.Second)
		expectStates(t, u, "10.0.0.1:3000 draining, 10.0.0.2:3000 ready, 10.0.0.3:3000 ready, 10.0.0.9:80 ready")
		if o := u.Owner(t.Context(), "one"); o.Worker == nil || o.Worker.State != StateDraining {
			t.Errorf("the session of an upstream that is not listed any more: %+v", o)
		}
		f.resolve("app") // fails: what was known stays
		pass(6 * time.Second)
		expectStates(t, u, "10.0.0.1:3000 draining, 10.0.0.2:3000 ready, 10.0.0.3:3000 ready, 10.0.0.9:80 ready")
		f.resolve("app", "10.0.0.1", "10.0.0.3")
		pass(6 * time.Second)
		expectStates(t, u, "10.0.0.1:3000 ready, 10.0.0.3:3000 ready, 10.0.0.9:80 ready")
	})
}

func TestUnlistedUpstreamIsForgottenAfterItsLastSession(t *testing.T) {
	inBubble(t, "http://app", func(t *testing.T, u *Upstreams, f *fleet) {
		const id = "http://10.0.0.1:80"
		u.Learn(t.Context(), "one", id, time.Minute)
		up := u.Workers().Get(id).Upstream
		up.Opened("one", 45*time.Second)
		ws := up.Connected("")
		f.resolve("app", "10.0.0.2")
		for range 10 { // its session is used
			pass(30 * time.Second)
			u.Touch("one")
			up.Used("one")
		}
		expectStates(t, u, "10.0.0.1:80 draining, 10.0.0.2:80 ready")
		if n := u.Workers().Get(id).Clients; n != 2 {
			t.Errorf("%d sessions, want a polling one and a WebSocket", n)
		}
		pass(5 * time.Minute) // the poller is gone, the WebSocket is not
		expectStates(t, u, "10.0.0.1:80 draining, 10.0.0.2:80 ready")
		up.Disconnected(ws)
		pass(2 * time.Second)
		expectStates(t, u, "10.0.0.2:80 ready")
	})
}

func TestUpstreamsAreChecked(t *testing.T) {
	inBubble(t, "http://app", func(t *testing.T, u *Upstreams, f *fleet) {
		const one, two = "http://10.0.0.1:80", "http://10.0.0.2:80"
		u.Learn(t.Context(), "one", one, time.Minute)
		f.set(one, bad)
		pass(10 * time.Second)
		expectStates(t, u, "10.0.0.1:80 sick, 10.0.0.2:80 ready")
		if o := u.Owner(t.Context(), "one"); o.WorkerID != one {
			t.Errorf("a sick upstream's session: %+v", o)
		}
		f.set(two, bad) // all of them: then it is hardly them
		pass(10 * time.Second)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
		f.set(one, refused)
		pass(6 * time.Second)
		expectStates(t, u, "10.0.0.2:80 ready")
		if o := u.Owner(t.Context(), "one"); o.Decision != DecisionUnknown {
			t.Errorf("a dead upstream's session: %+v", o)
		}
		f.set(one, good)
		f.set(two, good)
		pass(6 * time.Second)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
		if o := u.Owner(t.Context(), "one"); o.WorkerID != one { // it may have been something on the way
			t.Errorf("its session afterwards: %+v", o)
		}
	})
}

func TestNothingIsReadyBeforeItsFirstCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{answers: map[string]verdict{"http://10.0.0.1:80": bad, "http://10.0.0.2:80": refused}}
		u, err := NewUpstreams(UpstreamConfig{List: "http://10.0.0.1,http://10.0.0.2", Resolver: f})
		if err != nil {
			t.Fatal(err)
		}
		u.check = f.check
		ctx, cancel := context.WithCancel(t.Context())
		testkit.Run(t, func(context.Context) error { return u.Run(ctx) })
		defer cancel()
		pass(time.Minute)
		expectStates(t, u, "10.0.0.1:80 starting")
	})
}

func TestRefusedConnectionIsKnownAtOnce(t *testing.T) {
	inBubble(t, "http://app", func(t *testing.T, u *Upstreams, f *fleet) {
		f.set("http://10.0.0.1:80", refused)
		u.WorkerGone("http://10.0.0.1:80")
		expectStates(t, u, "10.0.0.2:80 ready")
		synctest.Wait() // it is asked itself
		f.set("http://10.0.0.1:80", good)
		pass(time.Second)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
	})
}

func TestOutliersAreEjected(t *testing.T) {
	f := func(n int, b *Upstream, ok bool) {
		for range n {
			b.Answered(ok)
		}
	}
	inBubble(t, "http://app", func(t *testing.T, u *Upstreams, _ *fleet) {
		one, two := u.Workers().Get("http://10.0.0.1:80").Upstream, u.Workers().Get("http://10.0.0.2:80").Upstream
		f(maxBroken-1, one, false)
		f(1, one, true)
		f(maxBroken-1, one, false)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
		f(1, one, false)
		expectStates(t, u, "10.0.0.1:80 sick, 10.0.0.2:80 ready")
		f(2*maxBroken, two, false) // never the last
		expectStates(t, u, "10.0.0.1:80 sick, 10.0.0.2:80 ready")
		f(1, two, true)
		pass(ejectShort + countEvery)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
		f(1, one, false) // as bad as before
		expectStates(t, u, "10.0.0.1:80 sick, 10.0.0.2:80 ready")
		pass(ejectShort + countEvery)
		expectStates(t, u, "10.0.0.1:80 sick, 10.0.0.2:80 ready")
		pass(ejectShort)
		expectStates(t, u, "10.0.0.1:80 ready, 10.0.0.2:80 ready")
	})
	inBubble(t, "http://10.0.0.1", func(t *testing.T, u *Upstreams, _ *fleet) {
		f(2*maxBroken, u.Workers().Get("http://10.0.0.1:80").Upstream, false)
		expectStates(t, u, "10.0.0.1:80 ready")
	})
}

// Nobody else remembers these sids.
func TestSidsInUseAreNotForgotten(t *testing.T) {
	inBubble(t, "http://app", func(t *testing.T, u *Upstreams, _ *fleet) {
		const id, many = "http://10.0.0.1:80", defaultCacheSize/cacheShards + 100
		var sids []string // all of one shard
		for i := 0; len(sids) < many; i++ {
			if sid := strconv.Itoa(i); u.own.cache.shard(sid) == &u.own.cache.shards[0] {
				sids = append(sids, sid)
				u.Learn(t.Context(), sid, id, time.Second)
			}
		}
		pass(2 * time.Second)
		if got := u.own.cache.len(); got != many {
			t.Errorf("%d sids, want %d", got, many)
		}
		pass(80 * time.Second)
		u.Touch(sids[0])
		pass(80 * time.Second)
		if o := u.Owner(t.Context(), sids[0]); o.WorkerID != id {
			t.Errorf("a sid in use is %+v", o)
		}
		if got := u.own.cache.len(); got != 1 {
			t.Errorf("%d sids, want the one in use", got)
		}
	})
}

func TestSharedSids(t *testing.T) {
	_, url := mini(t)
	const id = "http://10.0.0.1:80"
	var all []*Upstreams
	for range 2 {
		d := node(t, url)
		u, err := NewUpstreams(UpstreamConfig{List: "http://10.0.0.1,http://10.0.0.2", Shared: d})
		if err != nil {
			t.Fatal(err)
		}
		u.check = func(context.Context, *Upstream) verdict { return good }
		testkit.Run(t, u.Run)
		testkit.Await(t, "both upstreams", u.Changed, func() bool { return len(u.Workers().Ready()) == 2 })
		all = append(all, u)
	}
	all[0].Learn(t.Context(), "sid of one", id, time.Minute)
	if o := all[1].Owner(t.Context(), "sid of one"); o.WorkerID != id || o.Decision != DecisionTable {
		t.Errorf("at another router: %+v", o)
	}
	// Others may reach an upstream that one router can't.
	all[0].WorkerGone(id)
	if all[1].Workers().Get(id) == nil {
		t.Error("gone at the other router, too")
	}
	// Workers that registered are in the same table.
	d := all[0].store.(*Directory)
	reg := joinOnce(t, d, Worker{Host: "h"}, d)
	if all[0].Workers().Get(reg.ID()) == nil {
		t.Error("a registered worker is not in the table")
	}
	all[0].WorkerGone(reg.ID())
	if all[0].Workers().Get(reg.ID()) != nil {
		t.Error("a registered worker that is gone is in the table")
	}
}

func TestProbe(t *testing.T) {
	var status int
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host+r.RequestURI)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer server.Close()
	secure := httptest.NewTLSServer(server.Config.Handler)
	defer secure.Close()
	for _, tc := range []struct {
		url, check string
		status     int
		want       verdict
	}{
		{server.URL, "", 200, good},
		{server.URL, "", 400, good}, // what Engine.IO says to a request without a transport
		{server.URL, "", 404, good},
		{server.URL, "", 503, bad},
		{server.URL, "/healthz", 204, good},
		{server.URL, "/healthz", 302, good},
		{server.URL, "/healthz", 404, bad},
		{secure.URL, "", 200, bad}, // an authority that nobody named
	} {
		u, err := NewUpstreams(UpstreamConfig{List: tc.url, Check: tc.check})
		if err != nil {
			t.Fatal(err)
		}
		status, asked = tc.status, nil
		l := u.entries[0]
		b := u.newUpstream(l, l.literal())
		if got := probe(t.Context(), b); got != tc.want {
			t.Errorf("%s%s: %d is %v, want %v", tc.url, tc.check, tc.status, got, tc.want)
		}
		want := "GET " + strings.TrimPrefix(tc.url, "http://") + "/socket.io/"
		if tc.check != "" {
			want = "GET " + strings.TrimPrefix(tc.url, "http://") + tc.check
		}
		if tc.url == server.URL && !slices.Equal(asked, []string{want}) {
			t.Errorf("asked %q, want %q", asked, want)
		}
	}
	server.Close()
	u, _ := NewUpstreams(UpstreamConfig{List: server.URL})
	if got := probe(t.Context(), u.newUpstream(u.entries[0], u.entries[0].literal())); got != refused {
		t.Errorf("nobody listens: %v", got)
	}
}

func TestUpstreamConfigNamesEveryProblem(t *testing.T) {
	_, err := NewUpstreams(UpstreamConfig{List: "http://", Check: "healthz"})
	for _, variable := range []string{"directory: List", "directory: Check"} {
		if err == nil || !strings.Contains(err.Error(), variable) {
			t.Errorf("%v does not name %s", err, variable)
		}
	}
}
