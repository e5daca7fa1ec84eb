package adaptertest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHub(t *testing.T) {
	adaptertest.Run(t, func(*testing.T) func() cluster.Cluster {
		hub := cluster.NewHub()
		return func() cluster.Cluster { return hub }
	})
}
