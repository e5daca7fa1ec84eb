//go:build e2e

package interop

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// nodePeer is a server, or an emitter, of a Node process.
type nodePeer struct {
	node       *harness.Node
	called, at string
}

func startNodeServer(t *testing.T, node *harness.Node, name string, transport transport, redis, key string) *nodePeer {
	t.Helper()
	var started struct{ URL string }
	node.Must("peer", fields{"name": name, "transport": transport.name, "redis": redis, "key": key}, &started)
	t.Cleanup(func() { node.Must("unpeer", fields{"name": name}, nil) })
	return &nodePeer{node, name, started.URL}
}

func startNodeEmitter(t *testing.T, node *harness.Node, redis, key string) *nodePeer {
	t.Helper()
	const name = "node-emitter"
	node.Must("emitter", fields{"name": name, "redis": redis, "key": key}, nil)
	t.Cleanup(func() { node.Must("unpeer", fields{"name": name}, nil) })
	return &nodePeer{node, name, ""}
}

func (p *nodePeer) name() string { return p.called }
func (p *nodePeer) url() string  { return p.at }

func (p *nodePeer) act(t *testing.T, c call, args payload) (out outcome) {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	command := fields{}
	if err := json.Unmarshal(text, &command); err != nil {
		t.Fatal(err)
	}
	maps.Copy(command, fields{"name": p.called, "args": args.js()})
	delete(command, "op")
	p.node.Must("act", command, &out)
	return out
}

func (p *nodePeer) inspect(t *testing.T) (s state) {
	t.Helper()
	p.node.Must("inspect", fields{"name": p.called}, &s)
	return s
}
