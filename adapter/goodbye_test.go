package adapter

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	wire "github.com/alicebob/miniredis/v2/server"
)

// TestNoBeatComesAfterGoodbye: not even one that Redis has not taken when the process ends. Each says what it says over a
// connection of its own, and a beat that came later would bring the process back to life for its peers.
func TestNoBeatComesAfterGoodbye(t *testing.T) {
	m := miniredis.RunT(t)
	s, _ := start(t, Config{URL: url(m)}, newFakeLocal("/"))
	held, gone := make(chan struct{}), make(chan struct{})
	m.Server().SetPreHook(func(_ *wire.Peer, command string, args ...string) bool {
		var b beat
		switch {
		case command != "PUBLISH" || args[0] != s.peers.channel || json.Unmarshal([]byte(args[1]), &b) != nil:
		case b.Gone:
			close(gone)
		default:
			close(held)
			select {
			case <-gone:
				t.Error("goodbye overtook a beat")
			case <-time.After(100 * time.Millisecond): // time for it to do so
			}
		}
		return false
	})
	s.peers.nudge()
	<-held
	s.end()
	select {
	case <-gone:
	default:
		t.Error("no goodbye")
	}
}
