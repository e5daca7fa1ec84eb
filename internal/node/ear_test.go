package node

import (
	"testing"
	"time"
)

// TestEarReportsWhileScriptsListen, and no more than mostHeard messages a second.
func TestEarReportsWhileScriptsListen(t *testing.T) {
	var e ear
	now := time.Now()
	if e.takes(now) {
		t.Error("takes a message that nobody wants")
	}
	if err := e.open("60"); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for range mostHeard + 5 {
		if e.takes(now) {
			taken++
		}
	}
	if taken != mostHeard {
		t.Errorf("%d messages in a second", taken)
	}
	if !e.takes(now.Add(time.Second)) {
		t.Error("takes none in the next second")
	}
	if e.takes(now.Add(2 * time.Minute)) {
		t.Error("takes a message after the scripts have gone")
	}
	if e.open("soon") == nil {
		t.Error("takes a time that is none")
	}
}
