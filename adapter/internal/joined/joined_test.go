package joined

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRoomsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Rooms
		if r.Has("a") {
			t.Error("nobody joined")
		}
		r.Note([]string{"a", "b"})
		time.Sleep(subscribesWithin / 2)
		r.Note([]string{"b"})
		if !r.Has("a") || !r.Has("b") {
			t.Error("forgotten too soon")
		}
		time.Sleep(subscribesWithin / 2)
		if r.Has("a") || !r.Has("b") {
			t.Error("a is remembered, or b is not")
		}
		time.Sleep(subscribesWithin)
		if r.Note([]string{"c"}); len(r.until) != 1 {
			t.Errorf("%d rooms are kept", len(r.until))
		}
	})
}
