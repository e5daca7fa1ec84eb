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
