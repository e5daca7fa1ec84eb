package node

import (
	"strconv"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// plainWorker is an app that knows nothing of other processes: it listens, and chooses no adapter.
func plainWorker(t *testing.T, env ...string) how {
	return how{script: worker, env: append(env, "PORT="+strconv.Itoa(testkit.FreePort(t))), inject: true}
}

// TestServersWithoutAnAdapter: the servers of plain apps are one server, on one host, on two, and
// with servers of other kinds.
func TestServersWithoutAnAdapter(t *testing.T) {
	t.Run("one host", func(t *testing.T) {
		w := newWorld(t)
		w.workers(2, plainWorker(t))
		url := w.router("app", 2)
		w.check("transports", map[string]any{"url": url})
		w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
	})
	t.Run("two hosts and a Go server", func(t *testing.T) {
		a := newWorld(t)
		b := newWorldOn(t, a.redis)
		a.workers(2, plainWorker(t))
		b.workers(1, plainWorker(t))
		atA, atB := a.announced(), b.announced() // a's router reaches b's worker through b's
		entry := a.routerOn(atA, "app", 3)
		b.routerOn(atB, "app", 3)
		a.check("cluster", map[string]any{"urls": []any{[]any{entry, 3}, []any{goServer(t, a.redis, classic), 1}}, "servers": 4})
	})
}
