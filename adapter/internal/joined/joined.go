// Package joined remembers which rooms sockets of other servers were told to join a moment ago.
// Over sharded pub/sub those servers may not be subscribed to the rooms' channels yet, so that
// broadcasts have to go where all hear them: who has sockets join "r" and then says something to
// "r" reaches those that joined, as it would in the classic form.
package joined

import (
	"sync"
	"time"
)

// subscribesWithin is how soon a server is taken to hear a room that somebody joined there.
const subscribesWithin = time.Second

// Rooms may be used concurrently. Its zero value is ready.
type Rooms struct {
	mu    sync.Mutex
	until map[string]time.Time // by room
}

// Note remembers rooms for a while.
func (r *Rooms) Note(rooms []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = make(map[string]time.Time)
	}
	now := time.Now()
	for room, until := range r.until {
		if until.Before(now) {
			delete(r.until, room)
		}
	}
	for _, room := range rooms {
		r.until[room] = now.Add(subscribesWithin)
	}
}

// Has tells whether a room is remembered.
func (r *Rooms) Has(room string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.until[room]
	return ok && time.Now().Before(until)
}
