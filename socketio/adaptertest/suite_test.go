package adaptertest_test

import (
	"testing"

	"github.com/sidereal-io/sidereal/socketio/adaptertest"
	"github.com/sidereal-io/sidereal/socketio/cluster"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestHub(t *testing.T) {
	adaptertest.Run(t, func(*testing.T) func() cluster.Cluster {
		hub := cluster.NewHub()
		return func() cluster.Cluster { return hub }
	})
}
