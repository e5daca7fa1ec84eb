package adaptertest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adaptertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHub(t *testing.T) {
	adaptertest.Run(t, func(*testing.T) func() socketio.Cluster {
		hub := socketio.NewHub()
		return func() socketio.Cluster { return hub }
	})
}
