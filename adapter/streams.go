package adapter

import (
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/streams"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// Streams is the form of @socket.io/redis-streams-adapter: broadcasts are entries of a Redis
// stream, so a server that was cut off hears them later. It supports connection state recovery
// across servers. The names of the fields are those of Node's options.
type Streams struct {
	// StreamName is the name of the stream, or the beginning of the names of several. Empty means
	// Config.Key. Node's default for both is "socket.io".
	StreamName string
	// StreamCount is the number of streams over which the namespaces are spread. All servers must
	// have the same. Zero means one. With more than one, Node's servers don't see namespaces whose
	// hash is negative and odd.
	StreamCount int
	// MaxLen is the approximate number of entries that a stream keeps. A server that falls further
	// behind loses messages, and a client that was away for longer isn't recovered. Zero means
	// 10,000.
	MaxLen int
	// MaxBytes is the number of bytes that a stream keeps, about. Every server of ours trims a
	// stream that it has read more of, whoever wrote it. The last two messages always stay, so that
	// all servers can read them. A server that falls further behind loses messages, and a client
	// that missed more isn't recovered. A message larger than seven eighths of it is delivered, but
	// not kept for clients that come back; the server logs and counts it. Zero means 64 MiB. Below
	// zero there is no limit.
	MaxBytes int
	// ReadCount is the number of entries that one read returns at most. Zero means 100.
	ReadCount int
	// BlockTime is how long Redis may hold a read if there is nothing new, to the millisecond. Zero
	// means 5 seconds.
	BlockTime time.Duration
	// SessionKeyPrefix begins the keys of the snapshots that are kept for recovery. Empty means
	// "sio:session:".
	SessionKeyPrefix string
	// UseShardedPubSub sends requests and answers, which don't go through streams, over sharded
	// pub/sub. That needs Redis 7 or later.
	UseShardedPubSub bool
	// OnlyPlaintext, in Node, spares a search for binary values. Here it turns what JSON.stringify
	// makes of a Buffer into binary, so all servers get the same.
	OnlyPlaintext bool
}

func (s Streams) validate() error {
	if min(s.StreamCount, s.MaxLen, s.ReadCount, int(s.BlockTime)) < 0 {
		return errors.New("adapter: StreamCount, MaxLen, ReadCount and BlockTime must not be negative")
	}
	return nil
}

func (s Streams) open(common link.Config) (running, error) {
	return streams.New(common, streams.Config{
		Streams: wire.Streams{Name: s.StreamName, Count: s.StreamCount}, MaxLen: s.MaxLen, MaxBytes: s.MaxBytes, ReadCount: s.ReadCount, Block: s.BlockTime,
		SessionKeyPrefix: s.SessionKeyPrefix, ShardedPubSub: s.UseShardedPubSub, OnlyPlaintext: s.OnlyPlaintext,
	})
}
