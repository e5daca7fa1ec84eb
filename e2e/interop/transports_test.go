//go:build e2e

package interop

import (
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/socketio"
)

// transport is a form that adapters come in; e2e/js/peers.mjs makes Node's by the same name.
type transport struct {
	name        string
	open        func(redis, key string) (socketio.Cluster, error)
	emitter     func(client redis.UniversalClient, key string) (*emitter.Emitter, error) // nil: ours has none
	nodeEmitter bool
}

var transports = []transport{
	{
		name: "redis",
		open: func(redis, key string) (socketio.Cluster, error) {
			return adapter.NewRedis(adapter.Config{URL: redis, Key: key})
		},
		emitter: func(client redis.UniversalClient, key string) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: client, Key: key})
		},
		nodeEmitter: true,
	},
	{name: "redis-sharded:dynamic", open: sharded(adapter.Dynamic)},
	{name: "redis-sharded:dynamic-private", open: sharded(adapter.DynamicPrivate)},
	{name: "redis-sharded:static", open: sharded(adapter.Static)},
	{
		name: "redis-streams",
		open: func(redis, key string) (socketio.Cluster, error) {
			return adapter.NewStreams(adapter.StreamsConfig{Config: adapter.Config{URL: redis, Key: key}})
		},
	},
}

func sharded(mode adapter.Mode) func(redis, key string) (socketio.Cluster, error) {
	return func(redis, key string) (socketio.Cluster, error) {
		return adapter.NewSharded(adapter.ShardedConfig{Config: adapter.Config{URL: redis, Key: key}, Mode: mode})
	}
}
