//go:build e2e

package interop

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

var write = flag.Bool("write", false, "write docs/interop.md anew instead of comparing it with what ran")

// cell is one comparison.
type cell struct {
	transport, operation, payload string
	from, to                      kind
}

// TestInterop does every operation with every payload from every kind of sender, and compares what
// it did to servers of ours and of Node's with what Node's did to each other.
func TestInterop(t *testing.T) {
	store := testkit.StartRedis(t)
	d := &drivers{servers: [2]*harness.Node{harness.StartNode(t), harness.StartNode(t)}, clients: harness.StartNode(t)}
	var table table
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			c := startCluster(t, transport, d, store)
			for _, op := range operations {
				if op.only != "" && op.only != transport.name {
					continue
				}
				for _, p := range op.payloads {
					c.compare(t, &table, op, p)
				}
			}
		})
	}
	if t.Failed() {
		return
	}
	unused(t)
	page := filepath.Join(harness.Root(), "docs", "interop.md")
	text := table.page()
	if *write {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if committed, err := os.ReadFile(page); err != nil || string(committed) != text {
		t.Errorf("docs/interop.md is not what ran (%v): make interop writes it", err)
	}
}

// receivers are the servers at which a sender of each kind is observed: the other of its own kind,
// and one of the other.
var receivers = map[kind]map[kind]string{
	goServer:    {goServer: "go-1", nodeServer: "node-0"},
	nodeServer:  {goServer: "go-0", nodeServer: "node-1"},
	goEmitter:   {goServer: "go-0", nodeServer: "node-0"},
	nodeEmitter: {goServer: "go-0", nodeServer: "node-0"},
}

// compare does one operation with one payload from all senders.
func (c *testbed) compare(t *testing.T, table *table, op operation, p payload) {
	t.Helper()
	reference := c.observe(t, op, c.senders[nodeServer], p)
	want := reference[receivers[nodeServer][nodeServer]]
	if (want.String() == observation{}.String()) != op.silent {
		t.Errorf("%s, %s, %s: among Node's servers it did %v", c.transport, op.name, p.name, want)
	}
	for _, from := range []kind{goServer, nodeServer, goEmitter, nodeEmitter} {
		if c.senders[from] == nil || !op.emitter && from != goServer && from != nodeServer {
			continue
		}
		seen := reference
		if from != nodeServer {
			seen = c.observe(t, op, c.senders[from], p)
		}
		if from == nodeEmitter {
			want = seen[receivers[nodeEmitter][nodeServer]]
		}
		for _, to := range []kind{goServer, nodeServer} {
			here := cell{c.transport, op.name, p.name, from, to}
			got, want := seen[receivers[from][to]], want
			if to == goServer { // Go's types are those that are asked for
				want.Dates = 0
			}
			if from == goServer {
				want.Told = 0
			}
			if from == nodeServer && to == nodeServer {
				continue // the reference
			}
			same, reason := got.String() == want.String(), reasonFor(here)
			table.add(here, reason)
			if same == (reason != "") {
				t.Errorf("%+v: the same as from Node to Node: %t, reason for a difference: %q\ngot  %v\nwant %v", here, same, reason, got, want)
			}
		}
	}
}
