package directory

import (
	"sync"
	"time"
)

// sparse says when the same may be done, or said, again.
type sparse struct {
	mu   sync.Mutex
	last time.Time
}

// due tells whether it was not in that time, and takes it as done.
func (s *sparse) due(every time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.last.IsZero() && now.Sub(s.last) < every {
		return false
	}
	s.last = now
	return true
}

const (
	// oncePer is how long something that was said once is not said again.
	oncePer = 10 * time.Minute
	// mostSaid bounds what once remembers, and so what is logged in that time.
	mostSaid = 64
)

// once tells what has not been said yet.
type once struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func (o *once) news(what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if at, ok := o.said[what]; ok && now.Sub(at) < oncePer {
		return false
	}
	for other, at := range o.said {
		if now.Sub(at) >= oncePer {
			delete(o.said, other)
		}
	}
	if len(o.said) >= mostSaid {
		return false
	}
	if o.said == nil {
		o.said = make(map[string]time.Time)
	}
	o.said[what] = now
	return true
}
