package socketiotest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// A test of an app that asks its clients, on two servers and in fake time.
func ExampleServeCluster() {
	app := func(_ context.Context, io *socketio.Server) error {
		io.On("poll", func(ctx context.Context) int {
			answers, _ := io.Timeout(time.Hour).EmitWithAck(ctx, "vote")
			return len(answers)
		})
		return nil
	}
	_ = func(t *testing.T) { // TestPoll
		synctest.Test(t, func(t *testing.T) {
			servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, app)
			ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
			bob.On("vote", func() bool { return true })
			var votes int
			if err := ada.Call("poll").Scan(&votes); err != nil || votes != 1 {
				t.Errorf("%d votes, %v", votes, err) // an hour has passed
			}
		})
	}
}
