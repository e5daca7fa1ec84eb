package transport

import (
	"cmp"
	"errors"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// What SIDEREAL_ADAPTER says.
const (
	Classic = "redis" // also when it says nothing, where there is a Redis
	Sharded = "redis-sharded"
	Streams = "redis-streams"
	Memory  = "memory"
)

// New makes the adapter that the settings describe. Of common it sets what they say, and leaves the rest. The settings must not
// name Memory.
func New(set config.Cluster, common adapter.Config) (*adapter.Adapter, error) {
	common.Key, common.RequestsTimeout = set.AdapterKey, set.RequestsTimeout
	common.BufferMessages, common.BufferBytes, common.BufferAge = set.BufferMessages, set.BufferBytes, set.BufferAge
	common.MaxMessageBytes = set.MaxMessageBytes
	switch set.Adapter {
	case Streams:
		common.Form = adapter.Streams{
			StreamName: set.StreamName, StreamCount: set.StreamCount, MaxLen: set.StreamMaxLen,
			ReadCount: set.StreamReadCount, BlockTime: set.StreamBlock,
			SessionKeyPrefix: set.SessionKeyPrefix, UseShardedPubSub: set.StreamShardedPubSub == "on",
		}
	case Sharded:
		linger := set.Linger
		if linger == 0 {
			linger = -1 // at once; zero means the adapter's default
		}
		common.Form = adapter.Sharded{Mode: adapter.Mode(set.AdapterMode), Linger: linger}
	default:
		common.Form = adapter.Classic{SpecificResponses: set.SpecificResponses == "on"}
	}
	return adapter.New(common)
}

// Problem puts what only an operator can mend into one line with the variable that is wrong. Other errors come back as they are.
func Problem(set config.Cluster, redis config.Redis, err error) error {
	if errors.Is(err, redisconn.ErrNoShards) {
		if set.Adapter == Streams {
			return &config.ValueError{Variable: "SIDEREAL_STREAM_SHARDED_PUBSUB", Value: set.StreamShardedPubSub, Rule: "takes Redis 7 or later: unset it"}
		}
		return &config.ValueError{Variable: "SIDEREAL_ADAPTER", Value: set.Adapter, Rule: "takes Redis 7 or later: use redis here"}
	}
	return redis.Problem(err)
}

// Describe says in a worker's record what all workers of an app must agree on.
func Describe(set config.Cluster, r *directory.Worker) {
	r.Adapter = cmp.Or(set.Adapter, Classic)
	if r.Adapter == Memory {
		return
	}
	r.AdapterKey = set.AdapterKey
	switch r.Adapter {
	case Sharded:
		r.AdapterMode = set.AdapterMode
	case Streams:
		r.Stream, r.Streams = cmp.Or(set.StreamName, set.AdapterKey), set.StreamCount
	}
}
