package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
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

// TestServersOfOneProcess: each of a process's servers is one with its likes in other processes, and
// apart from the others. The app's own adapter is left alone, even one that it sets late.
func TestServersOfOneProcess(t *testing.T) {
	w := newWorld(t)
	h, ports := severalServers(t, "")
	first := w.workers(2, h)[0]
	urls := []string{w.router("app", 2)}
	for _, port := range ports[1:] {
		urls = append(urls, w.router(directory.PortApp("app", port), 2))
	}
	w.check("apart", map[string]any{"urls": urls})
	testkit.Until(t, "the report that the app's own adapter has replaced a third", func() bool {
		return w.adapters(first.id) == 2
	})
}

// adapters returns how many servers of a process have our adapter, by its last report.
func (w *world) adapters(id string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.reports {
		if r.ID == id && r.State == lifeline.ChildAdapters {
			n = r.Adapters
		}
	}
	return n
}

// severalServers is an app whose processes have three servers, each at a port of its own.
func severalServers(t *testing.T, what string) (h how, ports []int) {
	var texts []string
	for range 3 {
		ports = append(ports, testkit.FreePort(t))
		texts = append(texts, strconv.Itoa(ports[len(ports)-1]))
	}
	return how{script: "testdata/several.js", inject: true, env: []string{"PORTS=" + strings.Join(texts, ","), "CASE=" + what}}, ports
}

// TestUncarriedMessages: what can't leave its process is counted, and this process's clients get it
// if anybody can.
func TestUncarriedMessages(t *testing.T) {
	for reason, result := range map[string]string{"size": "sent", "value": "TypeError"} { // as without us
		t.Run(reason, func(t *testing.T) {
			w := newWorld(t)
			h, _ := severalServers(t, reason)
			w.workers(2, h)
			w.check("lose", map[string]any{"url": w.router("app", 2), "result": result})
			testkit.Until(t, "the loss to be counted", func() bool {
				return testutil.ToFloat64(w.metrics.uncarried.WithLabelValues(reason)) == 1
			})
		})
	}
}

// TestFrameworksWithoutAnAdapter: plain apps in several frameworks and in both module forms, on two
// hosts, are one server for all transports.
func TestFrameworksWithoutAnAdapter(t *testing.T) {
	for _, name := range []string{"express", "fastify", "hono", "nest", "nest as ES modules", "guarded"} {
		t.Run(name, func(t *testing.T) {
			h := plainWorker(t, "FRAMEWORK="+name)
			if h.script = "testdata/frameworks.js"; name == "nest as ES modules" {
				h.script = "testdata/nest.mjs"
			}
			a := newWorld(t)
			b := newWorldOn(t, a.redis)
			a.workers(2, h)
			b.workers(2, h)
			atA, atB := a.announced(), b.announced() // a's router reaches b's workers through b's
			entry := a.routerOn(atA, "app", 4)
			b.routerOn(atB, "app", 4)
			a.check("cluster", map[string]any{"urls": []any{[]any{entry, 4}}, "servers": 4})
		})
	}
}

// TestOlderServersWithoutAnAdapter: Socket.IO 3 and 4.
func TestOlderServersWithoutAnAdapter(t *testing.T) {
	for _, name := range []string{"socket.io-3", "socket.io-4.0", "socket.io-4.4", "socket.io-4.6", "socket.io"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			h := plainWorker(t, "SOCKETIO="+name)
			h.script = "testdata/older.js"
			w.workers(2, h)
			w.check("older", map[string]any{"url": w.router("app", 2)})
		})
	}
}

// TestBundlesWithoutAnAdapter: apps in one file with socket.io, which no script of theirs requires.
func TestBundlesWithoutAnAdapter(t *testing.T) {
	for name, c := range map[string]struct{ file, socketIO, options string }{
		"CommonJS":      {"app.js", "socket.io", "{}"},
		"ES module":     {"app.mjs", "socket.io", `{"connectionStateRecovery": {}}`},
		"Socket.IO 4.4": {"app.js", "socket.io-4.4", "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			env := []string{"NODE_PATH=" + modules(t), "SOCKETIO=" + c.socketIO, "OPTIONS=" + c.options}
			h := plainWorker(t, append(env, "NODE_PATH=")...) // it finds no package
			h.script = filepath.Join(t.TempDir(), c.file)
			bundle := exec.Command("node", "testdata/bundle.js", "testdata/older.js", h.script)
			bundle.Env = append(os.Environ(), env...)
			if out, err := bundle.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			first := w.workers(2, h)[0]
			w.check("older", map[string]any{"url": w.router("app", 2), "offsets": c.options != "{}"})
			if n := w.adapters(first.id); n != 1 {
				t.Errorf("%d servers with our adapter", n)
			}
		})
	}
}

// TestNamespacesWithoutAnAdapter: named and dynamic ones, of two copies of socket.io in a process.
func TestNamespacesWithoutAnAdapter(t *testing.T) {
	w := newWorld(t)
	h, ports := severalServers(t, "")
	h.script = "testdata/spaces.js"
	w.workers(2, h)
	w.check("spaces", map[string]any{"urls": []string{w.router("app", 2), w.router(directory.PortApp("app", ports[1]), 2)}})
}

// TestNodeVersionsWithoutAnAdapter runs a plain app under the Nodes of e2e/package.json.
func TestNodeVersionsWithoutAnAdapter(t *testing.T) {
	for _, version := range []string{"18", "22", "24"} {
		t.Run(version, func(t *testing.T) {
			h := plainWorker(t)
			h.node = nodeOf(t, version)
			w := newWorld(t)
			w.workers(2, h)
			w.check("cluster", map[string]any{"urls": []any{[]any{w.router("app", 2), 2}}, "servers": 2, "raw": true})
		})
	}
}

// TestNothingIsLostBetweenWorkers: while clients talk, one worker is killed, one leaves as in a
// reload, and one comes. Clients of the worker that stays miss nothing, and nobody waits for the
// dead.
func TestNothingIsLostBetweenWorkers(t *testing.T) {
	w := newWorld(t)
	h := plainWorker(t)
	list := w.workers(3, h)
	c := w.startCheck("hear", map[string]any{"url": w.router("app", 3), "clients": 200, "talkers": 10})
	c.line("talking to 3")
	list[0].kill()
	w.gone(list[0].id)
	w.workers(1, h)
	w.leave(list[1])
	if _, err := c.stdin.Write([]byte("over\n")); err != nil {
		t.Fatal(err)
	}
	c.line("done")
	c.end()
}
