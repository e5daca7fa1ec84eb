package engineio

import (
	"hash/maphash"
	"iter"
	"sync"
	"sync/atomic"
)

// sessions finds live sessions by sid. It is sharded, since every polling request and handshake
// uses it.
type sessions struct {
	seed   maphash.Seed
	n      atomic.Int64
	shards [32]struct {
		mu sync.RWMutex
		m  map[string]*Session
	}
}

func newSessions() *sessions {
	t := &sessions{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].m = make(map[string]*Session)
	}
	return t
}

func (t *sessions) shard(sid string) int {
	return int(maphash.String(t.seed, sid) % uint64(len(t.shards)))
}

func (t *sessions) get(sid string) *Session {
	h := &t.shards[t.shard(sid)]
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.m[sid]
}

// add adds s. It returns false if the sid is taken.
func (t *sessions) add(s *Session) bool {
	h := &t.shards[t.shard(s.id)]
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m[s.id] != nil {
		return false
	}
	h.m[s.id] = s
	t.n.Add(1)
	return true
}

func (t *sessions) remove(s *Session) {
	h := &t.shards[t.shard(s.id)]
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.m[s.id] == s {
		delete(h.m, s.id)
		t.n.Add(-1)
	}
}

// all yields the sessions, shard by shard, without holding a lock.
func (t *sessions) all() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		var batch []*Session
		for i := range t.shards {
			h := &t.shards[i]
			batch = batch[:0]
			h.mu.RLock()
			for _, s := range h.m {
				batch = append(batch, s)
			}
			h.mu.RUnlock()
			for _, s := range batch {
				if !yield(s) {
					return
				}
			}
		}
	}
}
