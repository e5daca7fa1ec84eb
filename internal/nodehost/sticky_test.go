package nodehost

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

const (
	worker   = "testdata/worker.js"
	adapter3 = "ADAPTER=@socket.io/cluster-adapter"
	adapter2 = "ADAPTER=cluster-adapter-0.2"
	sticky2  = "STICKY=@socket.io/sticky"
	sticky1  = "STICKY=sticky-1"
)

// TestUnmodifiedWorkers runs the worker of @socket.io/pm2's documentation, with both generations of its packages.
func TestUnmodifiedWorkers(t *testing.T) {
	for name, env := range map[string][]string{"sticky 2, adapter 0.3": {sticky2, adapter3}, "sticky 1, adapter 0.2": {sticky1, adapter2}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			list := w.workers(2, how{script: worker, env: env})
			if r := w.await(list[0].id, lifeline.ChildReady); r.By != bySticky || r.Worker == "" {
				t.Errorf("ready by %q as %q", r.By, r.Worker)
			}
			url := w.router("app", 2)
			w.check("transports", map[string]any{"url": url})
			w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
			w.check("keepalive", map[string]any{"url": url, "sessions": 20})
		})
	}
}
