package node

import (
	"net"
	"testing"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

var (
	classic = adapter.Classic{}
	streams = adapter.Streams{}
	sharded = adapter.Sharded{Mode: adapter.Static}
)

// speak has the host's workers reach others in another form than the classic one.
func (w *world) speak(f adapter.Form) {
	w.cfg.NewAdapter = func(_, _ int, g *adapter.Group) (*adapter.Adapter, error) {
		return adapter.New(adapter.Config{Conn: w.conn, Form: f, Group: g, Log: w.log})
	}
}

// TestServersOfAllKinds: unmodified Node workers of two hosts and both generations, a Node server
// with the Redis adapter and one of ours are one cluster, whoever asks.
func TestServersOfAllKinds(t *testing.T) {
	a := newWorld(t)
	b := newWorldOn(t, a.redis)
	a.workers(2, how{script: worker, env: []string{sticky2, adapter3}})
	a.workers(1, how{script: worker, env: []string{sticky1, adapter2}})
	b.workers(1, how{script: worker, env: []string{adapter3}})
	atA, atB := a.announced(), b.announced() // a's router reaches b's worker through b's
	entry := a.routerOn(atA, "app", 4)
	b.routerOn(atB, "app", 4)
	w := []any{[]any{entry, 4}, []any{a.redisServer(), 1}, []any{goServer(t, a.redis, classic), 1}}
	a.check("cluster", map[string]any{"urls": w, "servers": 6})
	a.check("transports", map[string]any{"url": entry})
	a.check("keepalive", map[string]any{"url": entry, "sessions": 20})
}

// TestOtherForms: the same over what else SIDEREAL_ADAPTER names.
func TestOtherForms(t *testing.T) {
	for name, f := range map[string]adapter.Form{"streams": streams, "sharded": sharded} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.speak(f)
			w.workers(2, how{script: worker, env: []string{adapter3}})
			w.check("cluster", map[string]any{"urls": []any{[]any{w.router("app", 2), 2}, []any{goServer(t, w.redis, f), 1}}, "servers": 3})
		})
	}
}

// TestAnotherServerThatLeaves is not waited for, and not counted any more.
func TestAnotherServerThatLeaves(t *testing.T) {
	w := newWorld(t)
	w.workers(2, how{script: worker, env: []string{adapter3}})
	url := w.router("app", 2)
	t.Run("there", func(t *testing.T) { // its server ends with it
		w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}, []any{goServer(t, w.redis, classic), 1}}, "servers": 3})
	})
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2})
}

// TestRedisAway: the workers of a host go on hearing each other, and wait for nobody else.
func TestRedisAway(t *testing.T) {
	modules(t)
	redis := testkit.StartRedis(t)
	w := newWorldOn(t, redis.URL())
	w.workers(2, how{script: worker, env: []string{adapter3}})
	url := w.router("app", 2)
	other := goServer(t, w.redis, classic)
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}, []any{other, 1}}, "servers": 3})
	redis.Kill()
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
	redis.Restart()
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}, []any{other, 1}}, "servers": 3})
}

// endpoint starts the router by which other hosts reach this one, too.
func (w *world) endpoint(workers int) string {
	w.t.Helper()
	return w.routerOn(w.announced(), "app", workers)
}

// announced opens the host's public port and tells other hosts of it. Nobody serves it yet.
func (w *world) announced() net.Listener {
	w.t.Helper()
	l := listenLocal(w.t)
	w.told(lifeline.Told{Key: lifeline.Advertise, Value: l.Addr().String()})
	return l
}
