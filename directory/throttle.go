package directory

import (
	"sync"
	"time"
)

// sparse limits how often something is done or logged.
type sparse struct {
	mu   sync.Mutex
	last time.Time
}

// due reports whether every has passed since the last time, and starts anew if so.
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
	// oncePer is the time in which once logs a text only once.
	oncePer = 10 * time.Minute
	// maxLogged limits the texts that once remembers, and so the lines that it logs in that time.
	maxLogged = 64
)

// once finds out whether a text has been logged before.
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
	if len(o.said) >= maxLogged {
		return false
	}
	if o.said == nil {
		o.said = make(map[string]time.Time)
	}
	o.said[what] = now
	return true
}
