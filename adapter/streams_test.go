package adapter

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestStreamsSuiteEmbedded(t *testing.T) {
	adaptertest.Run(t, func(t *testing.T) func() cluster.Cluster {
		e, err := redisconn.ServeEmbedded(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Wait)
		return func() cluster.Cluster {
			r, err := NewStreams(StreamsConfig{Config: Config{URL: e.URL()}})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	})
}
