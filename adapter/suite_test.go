package adapter

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
)

// TestSuite holds what every cluster promises, with real servers and clients. It takes a real Redis: miniredis does not
// keep the order between what a subscriber hears through a channel and what it hears through a pattern.
func TestSuite(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) func() socketio.Cluster {
		address := testkit.StartRedis(t).URL()
		return func() socketio.Cluster {
			r, err := NewRedis(Config{URL: address})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	})
}

func TestShardedSuite(t *testing.T) {
	for _, mode := range []Mode{Static, Dynamic, DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			adaptertest.Run(t, func(t *testing.T) func() socketio.Cluster {
				address := testkit.StartRedis(t).URL()
				return func() socketio.Cluster {
					r, err := NewSharded(ShardedConfig{Config: Config{URL: address}, Mode: mode})
					if err != nil {
						t.Fatal(err)
					}
					return settler{r}
				}
			})
		})
	}
}

// settler lets the suite wait for the channels of rooms.
type settler struct{ *Redis }

func (s settler) Settled() bool { return s.sub.Settled() }

func TestStreamsSuite(t *testing.T) {
	for name, cfg := range map[string]StreamsConfig{
		"one stream":        {},
		"many":              {StreamCount: 4, ReadCount: 3},
		"sharded pub/sub":   {UseShardedPubSub: true},
		"little block time": {BlockTimeInMs: 5},
	} {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, func(t *testing.T) func() socketio.Cluster {
				cfg.URL = testkit.StartRedis(t).URL()
				return func() socketio.Cluster {
					r, err := NewStreams(cfg)
					if err != nil {
						t.Fatal(err)
					}
					return r
				}
			})
		})
	}
}
