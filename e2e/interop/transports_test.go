//go:build e2e

package interop

import (
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// transport is a form that adapters come in; e2e/js/peers.mjs makes Node's by the same name.
type transport struct {
	name        string
	open        func(redis, key string) (cluster.Cluster, error)
	emitter     func(client redis.UniversalClient, key string) (*emitter.Emitter, error)
	nodeEmitter bool // Node has one
}

var transports = []transport{
	{
		name: "redis",
		open: func(redis, key string) (cluster.Cluster, error) {
			return adapter.New(adapter.Config{Redis: sidereal.Redis{URL: redis}, Key: key})
		},
		emitter: func(client redis.UniversalClient, key string) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: client, Key: key})
		},
		nodeEmitter: true,
	},
	sharded("dynamic"),
	sharded("dynamic-private"),
	sharded("static"),
	{
		name: "redis-streams",
		open: func(redis, key string) (cluster.Cluster, error) {
			return adapter.New(adapter.Config{Redis: sidereal.Redis{URL: redis}, Key: key, Form: adapter.Streams{}})
		},
		emitter: func(client redis.UniversalClient, key string) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: client, Form: emitter.Streams{StreamName: key}})
		},
	},
}

func sharded(mode string) transport {
	return transport{
		name: "redis-sharded:" + mode,
		open: func(redis, key string) (cluster.Cluster, error) {
			return adapter.New(adapter.Config{Redis: sidereal.Redis{URL: redis}, Key: key, Form: adapter.Sharded{Mode: adapter.Mode(mode)}})
		},
		emitter: func(client redis.UniversalClient, key string) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: client, Key: key, Form: emitter.Sharded{Mode: emitter.Mode(mode)}})
		},
	}
}
