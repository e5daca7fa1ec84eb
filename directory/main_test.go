package directory

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// bound is how long a broken test takes to fail.
const bound = 30 * time.Second

func TestMain(m *testing.M) {
	testkit.ManyWait()
	testkit.Main(m)
}

// connect makes a running connection to the Redis at url.
func connect(t testing.TB, url string) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.Open(redisconn.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	testkit.Run(t, c.Run)
	testkit.Await(t, "Redis", c.Changed, c.Up)
	return c
}

// node is one process's directory, running and in sync.
func node(t testing.TB, url string) *Directory {
	t.Helper()
	d, err := Open(t.Context(), Config{Conn: connect(t, url)})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	inSync(t, d)
	return d
}

func inSync(t testing.TB, d *Directory) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	if err := d.Synced(ctx); err != nil {
		t.Fatal(err)
	}
}

// mini starts an in-memory Redis and returns it with its URL.
func mini(t testing.TB) (*miniredis.Miniredis, string) {
	t.Helper()
	m := testkit.MiniRedis(t)
	return m, "redis://" + m.Addr()
}

// join registers a ready worker and waits until the directories see it so.
func join(t testing.TB, d *Directory, w Worker, seers ...*Directory) (reg *Registration[Worker], stop func()) {
	t.Helper()
	w.State = StateReady
	reg, err := d.RegisterWorker(context.Background(), w, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop = testkit.Run(t, reg.Run)
	for _, s := range seers {
		awaitState(t, s, reg.ID(), StateReady)
	}
	return reg, stop
}

// joinOnce is join of a worker that beats once, on an in-memory Redis, whose clock stands still:
// its record stays, and nothing brings it back once it is removed.
func joinOnce(t testing.TB, d *Directory, w Worker, seers ...*Directory) *Registration[Worker] {
	t.Helper()
	w.State = StateReady
	reg, err := d.RegisterWorker(t.Context(), w, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.beat(t.Context(), told{}); err != nil {
		t.Fatal(err)
	}
	for _, s := range seers {
		awaitState(t, s, reg.ID(), StateReady)
	}
	return reg
}

// awaitState waits until d knows the worker in that state; the empty state means not at all.
func awaitState(t testing.TB, d *Directory, id string, want State) {
	t.Helper()
	testkit.Await(t, "worker "+id+" "+string(want), d.Changed, func() bool {
		w := d.Workers().Get(id)
		if w == nil {
			return want == ""
		}
		return w.State == want
	})
}
