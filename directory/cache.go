package directory

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const cacheShards = 64 // power of two

// cache stores the owners of sids that this router has seen, and evicts the least recently used.
// Times are nanoseconds on its Directory's monotonic clock.
type cache struct {
	seed   maphash.Seed
	most   int // entries in one shard
	shards [cacheShards]shard
}

type shard struct {
	mu      sync.Mutex
	entries map[string]*entry
	ring    entry // next is the newest, prev the oldest
	_       [64]byte
}

type entry struct {
	sid, owner string
	ttl        time.Duration
	used       int64
	written    int64 // when its key was last written; 0: never
	queued     bool  // a write is under way
	prev, next *entry
}

func newCache(size int) *cache {
	c := &cache{seed: maphash.MakeSeed(), most: max(size/cacheShards, 1)}
	for i := range c.shards {
		s := &c.shards[i]
		s.entries = make(map[string]*entry)
		s.ring.prev, s.ring.next = &s.ring, &s.ring
	}
	return c
}

func (c *cache) shard(sid string) *shard {
	return &c.shards[maphash.String(c.seed, sid)%cacheShards]
}

// owner returns the owner of sid and counts the use.
func (c *cache) owner(sid string, now int64) (string, bool) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[sid]
	if e == nil {
		return "", false
	}
	e.used = now
	s.toFrontLocked(e)
	return e.owner, true
}

// peek is owner without counting the use.
func (c *cache) peek(sid string) (string, bool) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[sid]
	if e == nil {
		return "", false
	}
	return e.owner, true
}

// put stores an owner. written is the time at which its key was written. If it is 0, the caller
// must write the key and call wrote or failed. put returns true if it evicted an entry that was
// never written to Redis.
func (c *cache) put(sid, owner string, ttl time.Duration, now, written int64) (lostUnwritten bool) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[sid]
	if e == nil {
		if len(s.entries) >= c.most {
			oldest := s.ring.prev
			lostUnwritten = oldest.written == 0
			s.removeLocked(oldest)
		}
		e = &entry{sid: strings.Clone(sid)} // sid may be a slice of a request's buffer
		s.entries[e.sid] = e
		e.prev, e.next = e, e
	}
	if e.owner != owner {
		e.owner = strings.Clone(owner)
	}
	e.ttl, e.used, e.written, e.queued = ttl, now, written, written == 0
	s.toFrontLocked(e)
	return lostUnwritten
}

// due reports whether sid's key should be written again. If so, the caller must write it and call
// wrote or failed.
func (c *cache) due(sid string, now int64) (owner string, ttl time.Duration, due bool) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[sid]
	if e == nil {
		return "", 0, false
	}
	e.used = now
	s.toFrontLocked(e)
	if e.queued || e.written != 0 && now-e.written < int64(e.ttl)/3 {
		return "", 0, false
	}
	e.queued = true
	return e.owner, e.ttl, true
}

// wrote reports the success of a write that due or put asked for.
func (c *cache) wrote(sid string, now int64) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[sid]; e != nil {
		e.queued, e.written = false, max(now, 1)
	}
}

// failed reports the failure of such a write. The next use tries again.
func (c *cache) failed(sid string) {
	s := c.shard(sid)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[sid]; e != nil {
		e.queued = false
	}
}

// expire drops entries that were unused for their TTL: their keys have expired too, and their
// sessions have ended.
func (c *cache) expire(now int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for e := s.ring.prev; e != &s.ring && now-e.used > int64(e.ttl); e = s.ring.prev {
			s.removeLocked(e)
		}
		s.mu.Unlock()
	}
}

// forgetWrites marks all entries as never written.
func (c *cache) forgetWrites() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for e := s.ring.prev; e != &s.ring; e = e.prev {
			e.written, e.queued = 0, false // a write under way may have come too early
		}
		s.mu.Unlock()
	}
}

// collect appends the writes of one shard's entries that were never written and aren't about to be.
// The caller must write them and call wrote or failed.
func (c *cache) collect(shard int, to []write) []write {
	s := &c.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.ring.prev; e != &s.ring; e = e.prev {
		if e.written == 0 && !e.queued {
			e.queued = true
			to = append(to, write{sid: e.sid, owner: e.owner, ttl: e.ttl})
		}
	}
	return to
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

func (s *shard) toFrontLocked(e *entry) {
	if s.ring.next == e {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = &s.ring, s.ring.next
	e.prev.next, e.next.prev = e, e
}

func (s *shard) removeLocked(e *entry) {
	e.prev.next, e.next.prev = e.next, e.prev
	delete(s.entries, e.sid)
}
