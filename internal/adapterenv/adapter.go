package adapterenv

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// The values of SIDEREAL_ADAPTER, which workers' records hold too.
const (
	Classic = "redis" // the default, if there is a Redis
	Sharded = "redis-sharded"
	Streams = "redis-streams"
	Memory  = "memory"
)

// Config returns the configuration that the settings describe. The caller adds the connection, the
// name of the process, the logger and the metrics. The settings must not name Memory.
func Config(set config.Cluster) adapter.Config {
	cfg := adapter.Config{
		Key: set.AdapterKey, RequestsTimeout: set.RequestsTimeout,
		BufferMessages: set.BufferMessages, BufferBytes: set.BufferBytes, BufferAge: set.BufferAge,
		MaxMessageBytes: set.MaxMessageBytes,
	}
	switch set.Adapter {
	case Streams:
		maxBytes := set.StreamMaxBytes
		if maxBytes == 0 {
			maxBytes = -1 // no limit; zero means the adapter's default
		}
		cfg.Form = adapter.Streams{
			StreamName: set.StreamName, StreamCount: set.StreamCount, MaxLen: set.StreamMaxLen, MaxBytes: maxBytes,
			ReadCount: set.StreamReadCount, BlockTime: set.StreamBlock,
			SessionKeyPrefix: set.SessionKeyPrefix, UseShardedPubSub: set.StreamShardedPubSub == "on",
		}
	case Sharded:
		linger := set.Linger
		if linger == 0 {
			linger = -1 // at once; zero means the adapter's default
		}
		cfg.Form = adapter.Sharded{Mode: adapter.Mode(set.AdapterMode), Linger: linger}
	default:
		cfg.Form = adapter.Classic{SpecificResponses: set.SpecificResponses == "on"}
	}
	return cfg
}

// ServerKey returns the key of a Node app's Socket.IO server that chose no adapter, by the number of
// the server in its process, from 1. Two such apps on one Redis share no room unless their settings
// say so, and neither do two servers of a process.
func ServerKey(set config.Cluster, app string, server int) string {
	return numbered(cmp.Or(set.AdapterKey, adapter.DefaultKey+"@"+app), server)
}

// ServerConfig is Config for such a server.
func ServerConfig(set config.Cluster, app string, server int) adapter.Config {
	cfg := Config(set)
	cfg.Key = ServerKey(set, app, server)
	if form, ok := cfg.Form.(adapter.Streams); ok && form.StreamName != "" {
		form.StreamName = numbered(form.StreamName, server)
		cfg.Form = form
	}
	return cfg
}

func numbered(key string, server int) string {
	if server <= 1 {
		return key
	}
	return fmt.Sprintf("%s@%d", key, server)
}

// Problem turns an error that only an operator can fix into one line that names the variable. It
// returns other errors unchanged.
func Problem(set config.Cluster, redis config.Redis, err error) error {
	switch {
	case !errors.Is(err, redisconn.ErrNoShards):
		return redis.Problem(err)
	case set.Adapter == Streams:
		return &config.ValueError{Variable: "SIDEREAL_STREAM_SHARDED_PUBSUB", Value: set.StreamShardedPubSub, Rule: "needs Redis 7 or later: unset it"}
	}
	return &config.ValueError{Variable: "SIDEREAL_ADAPTER", Value: set.Adapter, Rule: "needs Redis 7 or later: use redis here"}
}

// FormName returns the name of a form in SIDEREAL_ADAPTER and in records. Nil is the classic form.
func FormName(form adapter.Form) string {
	switch form.(type) {
	case adapter.Sharded:
		return Sharded
	case adapter.Streams:
		return Streams
	}
	return Classic
}

// Describe writes into a worker's record what all workers of an app must agree on. Nil means a
// worker in memory.
func Describe(cfg *adapter.Config, r *directory.Worker) {
	if cfg == nil {
		r.Adapter = Memory
		return
	}
	r.Adapter, r.AdapterKey = FormName(cfg.Form), cmp.Or(cfg.Key, adapter.DefaultKey)
	switch form := cfg.Form.(type) {
	case adapter.Sharded:
		r.AdapterMode = string(cmp.Or(form.Mode, adapter.Dynamic))
	case adapter.Streams:
		r.Stream, r.Streams = cmp.Or(form.StreamName, r.AdapterKey), max(form.StreamCount, 1)
	}
}
