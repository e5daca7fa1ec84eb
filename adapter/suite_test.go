package adapter

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisserver"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestSuite holds what every cluster promises, with real servers and clients, in each form. It
// takes a real Redis: miniredis does not keep the order between what a subscriber hears through a
// channel and what it hears through a pattern.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]Form{
		"classic":         Classic{},
		"static":          Sharded{Mode: Static},
		"dynamic":         Sharded{},
		"dynamic-private": Sharded{Mode: DynamicPrivate},
		"streams":         Streams{},
		"other streams":   Streams{StreamCount: 4, ReadCount: 3, UseShardedPubSub: true, BlockTime: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
				cfg := on(testkit.StartRedis(t).URL())
				cfg.Form = form
				return clusters(t, cfg)
			})
		})
	}
}

// TestSuiteOnRedisCluster has each test on keys of its own in one Redis Cluster. There is no order
// between channels of different nodes, so that the modes with channels of rooms run on a key whose
// hash tag keeps them all on one.
func TestSuiteOnRedisCluster(t *testing.T) {
	t.Parallel()
	url := testkit.StartCluster(t).URL()
	for name, form := range map[string]Form{
		"classic": Classic{},
		"static":  Sharded{Mode: Static},
		"streams": Streams{StreamCount: 2},
		"dynamic": Sharded{Mode: Dynamic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
				cfg := on(url)
				cfg.Form, cfg.Key = form, t.Name()
				if name == "dynamic" {
					cfg.Key = "{" + cfg.Key + "}"
				}
				return clusters(t, cfg)
			})
		})
	}
}

func TestStreamsSuiteEmbedded(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
		e, err := redisserver.Serve(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Wait)
		cfg := on(e.URL())
		cfg.Form = Streams{}
		return clusters(t, cfg)
	})
}

// clusters makes a cluster for each server of a test.
func clusters(t *testing.T, cfg Config) func() cluster.Cluster {
	return func() cluster.Cluster {
		a, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}
