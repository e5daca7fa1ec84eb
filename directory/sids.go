package directory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// retryWrites is the time between two tries to write the sids that Redis doesn't have.
const retryWrites = 200 * time.Millisecond

// sids stores who owns which session: in this process's cache, and in Redis for the other routers.
// While Redis is away, the cache marks the sids that have to be written later.
type sids struct {
	*app
	cache     *cache
	ttls      *longest
	writer    *writer
	unwritten chan struct{} // some cached entries were never written

	lost      sparse      // logged that Redis has lost data
	rewritten sparse      // because of that
	behind    atomic.Bool // it has again, and nothing was written since
}

func newSIDs(a *app, cacheSize int, ttl time.Duration) *sids {
	s := &sids{app: a, cache: newCache(cacheSize), ttls: newLongest(ttl), unwritten: make(chan struct{}, 1)}
	s.writer = newWriter(s.writeBatch, a.keys.sid, a.conn.Place)
	return s
}

// learn stores a new session: see [Directory.Learn]. Tagged says that the sid begins with the id of
// its worker, which every router knows.
func (s *sids) learn(ctx context.Context, sid, workerID string, ttl time.Duration, tagged bool) {
	ttl = s.ttls.raise(workerID, ttl)
	s.remember(sid, workerID, ttl, s.now(), 0)
	wr := write{sid: sid, owner: workerID, ttl: ttl}
	if tagged {
		s.write(wr)
		return
	}
	wr.done = make(chan struct{})
	if !s.write(wr) {
		return
	}
	timer := time.NewTimer(learnWait)
	defer timer.Stop()
	select {
	case <-wr.done:
	case <-timer.C:
		s.conn.Doubt()
	case <-ctx.Done():
	}
}

func (s *sids) remember(sid, id string, ttl time.Duration, now, written int64) {
	if s.cache.put(sid, id, ttl, now, written) {
		s.metrics.writes.WithLabelValues("dropped").Inc()
	}
}

// touch notes the use of a sid: see [Directory.Touch].
func (s *sids) touch(sid string) {
	if owner, ttl, due := s.cache.due(sid, s.now()); due {
		s.write(write{sid: sid, owner: owner, ttl: ttl})
	}
}

// sweep drops the sids that nobody used for their TTL.
func (s *sids) sweep() {
	s.cache.expire(s.now())
	if s.behind.Swap(false) {
		s.rewrite()
	}
	s.metrics.sids.Set(float64(s.cache.len()))
}

// redisLostData has every cached entry written again: Redis was flushed. Where Redis evicts keys
// all the time, that happens at most every 10 s.
func (s *sids) redisLostData() {
	if s.lost.due(logEvery) {
		s.log.Warn("Redis has lost data: sids in use are written again")
	}
	if s.rewritten.due(sweepEvery) {
		s.rewrite()
	} else {
		s.behind.Store(true) // the next sweep does it
	}
}

// write queues a write for the cache. It returns false if Redis is away; the key is then written
// later.
func (s *sids) write(wr write) bool {
	ok := s.conn.Up() && s.writer.push(wr)
	if !ok {
		s.later(wr)
		s.metrics.writes.WithLabelValues("delayed").Inc()
	}
	return ok
}

// later has restore queue a write that wasn't queued.
func (s *sids) later(wr write) {
	s.cache.failed(wr.sid)
	kick(s.unwritten)
}

// writeBatch writes a batch in one trip to Redis and settles each write.
func (s *sids) writeBatch(ctx context.Context, batch []write) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	pipe := s.client.Pipeline()
	for _, wr := range batch {
		pipe.Set(ctx, wr.key, wr.owner, wr.ttl)
	}
	cmds, err := pipe.Exec(ctx) // in a cluster each command has its own result
	now, failed := s.now(), 0
	for i, wr := range batch {
		if failedCmd(cmds, i, err) {
			failed++
			s.cache.failed(wr.sid)
		} else {
			s.cache.wrote(wr.sid, now)
		}
		if wr.done != nil {
			close(wr.done)
		}
	}
	s.metrics.writes.WithLabelValues("failed").Add(float64(failed))
	s.metrics.writes.WithLabelValues("written").Add(float64(len(batch) - failed))
	if failed > 0 {
		s.conn.Doubt()
		kick(s.unwritten)
	}
}

// rewrite has every cached entry written again.
func (s *sids) rewrite() {
	s.cache.forgetWrites()
	kick(s.unwritten)
}

// restore queues the cached entries that Redis doesn't have: when there are some, and when Redis is
// back, until ctx ends.
func (s *sids) restore(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := s.conn.Changed()
		select {
		case <-ctx.Done():
		case <-s.unwritten:
		case <-changed:
		}
		if s.conn.Up() {
			s.restoreOnce()
			netio.Pause(ctx, retryWrites)
		}
	}
	return nil
}

func (s *sids) restoreOnce() {
	var batch []write
	for i := range cacheShards {
		batch = s.cache.collect(i, batch[:0])
		for _, wr := range batch {
			if !s.writer.push(wr) {
				s.later(wr)
			}
		}
	}
}

func failedCmd(cmds []redis.Cmder, i int, err error) bool {
	return err != nil && (i >= len(cmds) || cmds[i].Err() != nil)
}

// longest stores the longest TTL of each worker's sids. A worker's sessions share its ping
// settings, so a router that has seen one handshake of a worker renews all of its sids correctly.
type longest struct {
	least time.Duration

	mu       sync.RWMutex
	byWorker map[string]time.Duration // only those longer than least; workers that have such settings are few
}

func newLongest(least time.Duration) *longest {
	return &longest{least: wholeSeconds(least), byWorker: make(map[string]time.Duration)}
}

// of returns the TTL of a worker's sids, given the remaining life of one.
func (l *longest) of(id string, left time.Duration) time.Duration {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return max(l.least, l.byWorker[id], wholeSeconds(left))
}

// raise stores the TTL that an open packet asks for and returns the one to use.
func (l *longest) raise(id string, ttl time.Duration) time.Duration {
	ttl = max(l.least, wholeSeconds(ttl))
	if ttl == l.least {
		return ttl
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ttl > l.byWorker[id] {
		if len(l.byWorker) >= longestMost {
			clear(l.byWorker) // drop ids of ended workers; the next open packets add the others again
		}
		l.byWorker[id] = ttl
	}
	return ttl
}

const longestMost = 4096

// wholeSeconds rounds up, because SET's EX takes seconds.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
