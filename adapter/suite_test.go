package adapter

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestSuite holds what every cluster promises, with real servers and clients. It takes a real Redis: miniredis does not
// keep the order between what a subscriber hears through a channel and what it hears through a pattern.
func TestSuite(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
		return classicOn(t, testkit.StartRedis(t).URL())
	})
}

func TestShardedSuite(t *testing.T) {
	t.Parallel()
	for _, mode := range []Mode{Static, Dynamic, DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
				return shardedOn(t, ShardedConfig{Config: Config{URL: testkit.StartRedis(t).URL()}, Mode: mode})
			})
		})
	}
}

// TestSuiteOnRedisCluster has each test on keys of its own in one Redis Cluster. There is no order between channels of
// different nodes, so that the modes with channels of rooms run on a key whose hash tag keeps them all on one.
func TestSuiteOnRedisCluster(t *testing.T) {
	t.Parallel()
	url := testkit.StartCluster(t).URL()
	for name, medium := range map[string]func(t *testing.T, key string) func() cluster.Cluster{
		"classic": func(t *testing.T, key string) func() cluster.Cluster {
			return classicOn(t, url, key)
		},
		"static": func(t *testing.T, key string) func() cluster.Cluster {
			return shardedOn(t, ShardedConfig{Config: Config{URL: url, Key: key}, Mode: Static})
		},
		"streams": func(t *testing.T, key string) func() cluster.Cluster {
			return func() cluster.Cluster {
				r, err := NewStreams(StreamsConfig{Config: Config{URL: url, Key: key}, StreamCount: 2})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
		},
		"dynamic": func(t *testing.T, key string) func() cluster.Cluster {
			return shardedOn(t, ShardedConfig{Config: Config{URL: url, Key: "{" + key + "}"}, Mode: Dynamic})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster { return medium(t, t.Name()) })
		})
	}
}

func classicOn(t *testing.T, url string, key ...string) func() cluster.Cluster {
	return func() cluster.Cluster {
		cfg := Config{URL: url}
		if len(key) > 0 {
			cfg.Key = key[0]
		}
		r, err := NewRedis(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func shardedOn(t *testing.T, cfg ShardedConfig) func() cluster.Cluster {
	return func() cluster.Cluster {
		r, err := NewSharded(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return settler{r}
	}
}

// settler lets the suite wait for the channels of rooms.
type settler struct{ *Redis }

func (s settler) Settled() bool { return s.sub.Settled() }

func TestStreamsSuite(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]StreamsConfig{
		"default": {},
		"other":   {StreamCount: 4, ReadCount: 3, UseShardedPubSub: true, BlockTimeInMs: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
				cfg := cfg // the tests run beside each other
				cfg.URL = testkit.StartRedis(t).URL()
				return func() cluster.Cluster {
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
