package directory

import (
	"context"
	"sync"
	"time"
)

const (
	// maxFlights limits the batches of look-ups under way, in a Redis Cluster at each node, so that
	// one stuck batch doesn't hold up the others.
	maxFlights = 4
	// maxBatch limits the keys of one batch.
	maxBatch = 128
	// missesPerSecond limits the look-ups per second of keys that Redis doesn't have, after a
	// burst of missesAtOnce. Keys that Redis has don't count, so a storm of clients with sessions
	// isn't slowed.
	missesPerSecond = 10_000
	missesAtOnce    = 1000
	// maxAsked limits the look-ups of a lane that wait for their turn.
	maxAsked = 4096
)

// lookups asks Redis for single keys. Anybody can send unknown sids, so waiting look-ups share a
// batch, and the number of misses is limited.
type lookups struct {
	fetch   func(keys []string) []answer // blocks, for a bounded time
	place   func(key string) string      // names the cluster node that has the key
	flights sync.WaitGroup

	mu     sync.Mutex // guards the rest
	asked  map[string]*lookup
	lanes  map[string]*lane // by place
	misses float64          // the number still allowed
	at     time.Time
	timer  *time.Timer // fires when more misses are allowed; nil: none waits for it
	closed bool
}

// lane holds the look-ups at one place. They go out in batches of their own, so that a frozen node
// of a Redis Cluster doesn't hold up look-ups at other nodes.
type lane struct {
	queue  []*lookup // of asked, in order
	flying int
}

// lookup is a key that callers wait for.
type lookup struct {
	key    string
	done   chan struct{} // closed once the answer is set
	takers int           // callers that still wait, until it is sent
	answer answer
}

// answer is Redis's answer about a key.
type answer struct {
	value string
	left  time.Duration // until the key expires
	found bool
	asked bool // Redis has answered
}

func newLookups(fetch func(keys []string) []answer, place func(key string) string) *lookups {
	return &lookups{
		fetch: fetch, place: place, asked: make(map[string]*lookup), lanes: make(map[string]*lane),
		misses: missesAtOnce, at: time.Now(),
	}
}

// ask returns Redis's answer to a question that is sent after the call. It returns no answer if
// ctx ends first, or if too many look-ups wait. A caller that isn't patient doesn't wait for its
// turn.
func (l *lookups) ask(ctx context.Context, key string, patient bool) answer {
	l.mu.Lock()
	q := l.asked[key]
	if q == nil {
		at := l.place(key)
		of := l.lanes[at]
		if of == nil {
			of = &lane{}
		}
		if l.closed || len(of.queue) >= maxAsked || !patient && l.crowdedLocked(of) {
			l.mu.Unlock()
			return answer{}
		}
		q = &lookup{key: key, done: make(chan struct{})}
		l.asked[key], l.lanes[at] = q, of
		of.queue = append(of.queue, q)
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

// crowdedLocked reports whether another look-up must wait for its turn.
func (l *lookups) crowdedLocked(of *lane) bool {
	l.refillLocked()
	return l.misses < float64(len(of.queue)+1)
}

func (l *lookups) refillLocked() {
	now := time.Now()
	l.misses = min(l.misses+now.Sub(l.at).Seconds()*missesPerSecond, missesAtOnce)
	l.at = now
}

// launchLocked sends the batches that may go.
func (l *lookups) launchLocked() {
	l.refillLocked()
	paced := false // some wait only for the pace
	for at, of := range l.lanes {
		l.launchFromLocked(of)
		paced = paced || len(of.queue) > 0 && of.flying < maxFlights
		if len(of.queue) == 0 && of.flying == 0 {
			delete(l.lanes, at)
		}
	}
	if paced && l.timer == nil && !l.closed {
		wait := time.Duration(min(len(l.asked), maxBatch)) * time.Second / missesPerSecond
		l.timer = time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timer = nil
			l.launchLocked()
		})
	}
}

// launchFromLocked sends the batches of a lane that may go.
func (l *lookups) launchFromLocked(of *lane) {
	for of.flying < maxFlights && len(of.queue) > 0 && l.misses >= 1 && !l.closed {
		var batch []*lookup
		for len(of.queue) > 0 && len(batch) < min(maxBatch, int(l.misses)) {
			q := of.queue[0]
			of.queue = of.queue[1:]
			delete(l.asked, q.key)
			if q.takers > 0 {
				batch = append(batch, q)
			}
		}
		if len(batch) == 0 {
			continue
		}
		l.misses -= float64(len(batch))
		of.flying++
		l.flights.Go(func() { l.fly(of, batch) })
	}
}

// fly sends a batch of a lane and distributes the answers.
func (l *lookups) fly(of *lane, batch []*lookup) {
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
	of.flying--
	l.misses += float64(found)
	l.launchLocked()
	l.mu.Unlock()
	for _, q := range batch {
		close(q.done)
	}
}

// close waits for the batches under way. Waiting look-ups get no answer.
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
	maxStrangers = 4096
	strangerFor  = time.Second
)

// strangers stores ids that recently had no worker in Redis.
type strangers struct {
	mu      sync.Mutex
	until   map[string]time.Time
	version uint64 // counts the ids that turned out to be a worker's
}

// has reports whether id is a stranger. The caller passes version to add after it has asked
// Redis.
func (s *strangers) has(id string) (is bool, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.until[id]), s.version
}

// add stores an id without a record in Redis. It does nothing if a worker has come since has
// returned version.
func (s *strangers) add(id string, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return
	}
	if s.until == nil || len(s.until) >= maxStrangers {
		s.until = make(map[string]time.Time)
	}
	s.until[id] = time.Now().Add(strangerFor)
}

// came removes an id, because a worker may have it now.
func (s *strangers) came(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.until, id)
	s.version++
}

// forget removes all ids, because events may have been missed.
func (s *strangers) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = nil
	s.version++
}
