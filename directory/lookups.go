package directory

import (
	"context"
	"sync"
	"time"
)

const (
	// flightsMost is how many batches of look-ups are under way at a time: one that is stuck
	// doesn't hold up the others.
	flightsMost = 4
	// flightMost is how many keys one batch asks for.
	flightMost = 128
	// missesPerSecond bounds how many keys per second are asked for in vain, after missesAtOnce.
	// Keys that Redis has cost nothing of it, so that a storm of clients whose sessions exist is as
	// fast as Redis.
	missesPerSecond = 10_000
	missesAtOnce    = 1000
	// askedMost bounds the look-ups that wait for their turn.
	askedMost = 4096
)

// lookups asks Redis for single keys. Anybody can send sids that nobody has, so those that wait go
// out together, and the number of those that Redis doesn't have is bounded.
type lookups struct {
	fetch   func(keys []string) []answer // blocks, for a bounded time
	flights sync.WaitGroup

	mu     sync.Mutex // guards what follows
	asked  map[string]*lookup
	queue  []*lookup // those of asked, in order
	flying int
	misses float64 // how many more are allowed
	at     time.Time
	timer  *time.Timer // looks again when some are; nil: nobody waits for that
	closed bool
}

// lookup is a key that somebody waits for.
type lookup struct {
	key    string
	done   chan struct{} // closed once what follows is set
	takers int           // who still wait, until it is sent
	answer answer
}

// answer is what Redis has for a key.
type answer struct {
	value string
	left  time.Duration // of the key's life
	found bool
	asked bool // Redis has answered
}

func newLookups(fetch func(keys []string) []answer) *lookups {
	return &lookups{fetch: fetch, asked: make(map[string]*lookup), misses: missesAtOnce, at: time.Now()}
}

// ask returns Redis's answer to a question that is sent after the call; none if ctx ends first or
// too many wait. Who is not patient doesn't wait for their turn.
func (l *lookups) ask(ctx context.Context, key string, patient bool) answer {
	l.mu.Lock()
	q := l.asked[key]
	if q == nil {
		if l.closed || len(l.queue) >= askedMost || !patient && l.crowdedLocked() {
			l.mu.Unlock()
			return answer{}
		}
		q = &lookup{key: key, done: make(chan struct{})}
		l.asked[key] = q
		l.queue = append(l.queue, q)
	}
	q.takers++
	l.launchLocked()
	l.mu.Unlock()
	select {
	case <-q.done:
		return q.answer
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	q.takers--
	return answer{}
}

// crowdedLocked tells whether one more has to wait for its turn.
func (l *lookups) crowdedLocked() bool {
	l.refillLocked()
	return l.misses < float64(len(l.queue)+1)
}

func (l *lookups) refillLocked() {
	now := time.Now()
	l.misses = min(l.misses+now.Sub(l.at).Seconds()*missesPerSecond, missesAtOnce)
	l.at = now
}

// launchLocked sends what may be sent.
func (l *lookups) launchLocked() {
	l.refillLocked()
	for l.flying < flightsMost && len(l.queue) > 0 && l.misses >= 1 && !l.closed {
		var batch []*lookup
		for len(l.queue) > 0 && len(batch) < min(flightMost, int(l.misses)) {
			q := l.queue[0]
			l.queue = l.queue[1:]
			delete(l.asked, q.key)
			if q.takers > 0 {
				batch = append(batch, q)
			}
		}
		if len(batch) == 0 {
			continue
		}
		l.misses -= float64(len(batch))
		l.flying++
		l.flights.Go(func() { l.fly(batch) })
	}
	if len(l.queue) > 0 && l.flying < flightsMost && l.timer == nil && !l.closed {
		wait := time.Duration(min(len(l.queue), flightMost)) * time.Second / missesPerSecond
		l.timer = time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timer = nil
			l.launchLocked()
		})
	}
}

// fly asks for a batch and hands out the answers.
func (l *lookups) fly(batch []*lookup) {
	keys := make([]string, len(batch))
	for i, q := range batch {
		keys[i] = q.key
	}
	found := 0
	for i, a := range l.fetch(keys) {
		if batch[i].answer = a; a.found {
			found++
		}
	}
	l.mu.Lock()
	l.flying--
	l.misses += float64(found)
	l.launchLocked()
	l.mu.Unlock()
	for _, q := range batch {
		close(q.done)
	}
}

// close returns once no batch is under way. Those that wait get no answer.
func (l *lookups) close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.flights.Wait()
}

const (
	strangerMost = 4096
	strangerFor  = time.Second
)

// strangers are ids that no worker had a moment ago.
type strangers struct {
	mu    sync.Mutex
	until map[string]time.Time
	news  uint64 // counts the ids that turned out to be a worker's
}

// has tells whether id is a stranger's. News is to be given to add, once Redis has been asked.
func (s *strangers) has(id string) (is bool, news uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until[id]), s.news
}

// add notes that Redis had no record of id. It does nothing if a worker has come since has returned
// news.
func (s *strangers) add(id string, news uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if news != s.news {
		return
	}
	if s.until == nil || len(s.until) >= strangerMost {
		s.until = make(map[string]time.Time)
	}
	s.until[id] = time.Now().Add(strangerFor)
}

// came notes that a worker of that id may be there.
func (s *strangers) came(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, id)
	s.news++
}

// forget forgets them all: events may have been missed.
func (s *strangers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = nil
	s.news++
}
