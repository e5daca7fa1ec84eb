package directory

import (
	"context"
	"crypto/subtle"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Static is a directory in memory, for a router whose workers are given by Set. It knows the sids
// that it learned, and finds workers by the tags of sids.
type Static struct {
	clock
	tables published
	secret string
	cache  *cache
	gauge  *prometheus.GaugeVec // may be nil

	mu      sync.Mutex // guards the rest
	workers map[string]*Worker
	routers []*Router
	left    map[string]time.Time // as in roster
}

// NewStatic makes a Static that has these workers. Each needs an ID. An empty State means
// StateReady.
func NewStatic(workers ...Worker) *Static {
	s := &Static{clock: newClock(), secret: randomText(secretBytes), cache: newCache(defaultCacheSize)}
	s.Set(workers...)
	return s
}

// SetRouters replaces the routers of the table.
func (s *Static) SetRouters(routers ...Router) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routers = nil
	for _, r := range routers {
		s.routers = append(s.routers, &r)
	}
	s.publishLocked()
}

// newAlone makes a Static that forgets no sid in use, regardless of their number.
func newAlone(reg prometheus.Registerer) (*Static, error) {
	s := NewStatic()
	s.cache = newCache(math.MaxInt)
	s.gauge = newWorkersGauge()
	if reg == nil {
		return s, nil
	}
	return s, reg.Register(s.gauge)
}

// Set replaces all workers. A worker that remains keeps its sids.
func (s *Static) Set(workers ...Worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers = make(map[string]*Worker, len(workers))
	for _, w := range workers {
		if w.State == "" {
			w.State = StateReady
		}
		s.workers[w.ID] = &w
	}
	s.publishLocked()
}

func (s *Static) setUpstreams(workers []Worker) { s.Set(workers...) }

func (s *Static) publishLocked() {
	byID := make(map[string]*Worker, len(s.workers))
	for id, w := range s.workers {
		byID[id] = w
	}
	t := newTable(byID, slices.Clone(s.routers), maps.Clone(s.left))
	if s.gauge != nil {
		countWorkers(s.gauge, t)
	}
	s.tables.publish(t)
}

// Owner is [Directory.Owner] without Redis.
func (s *Static) Owner(_ context.Context, sid string) Owner {
	if id, ok := s.cache.owner(sid, s.now()); ok {
		if w := s.Workers().Get(id); w != nil {
			return Owner{id, DecisionCache, w}
		}
		return Owner{WorkerID: id, Decision: DecisionUnknown}
	}
	if w := s.Workers().tagged(sid); w != nil {
		return Owner{w.ID, DecisionTag, w}
	}
	id, _ := workerOf(sid)
	return Owner{WorkerID: id, Decision: DecisionUnknown}
}

// Trace is [Directory.Trace] without Redis. It never fails.
func (s *Static) Trace(_ context.Context, sid string) (Trace, error) {
	t := Trace{SID: sid, Decision: DecisionUnknown}
	t.Cache, _ = s.cache.peek(sid)
	t.Tag, _ = workerOf(sid)
	if t.Cache != "" {
		t.decide(DecisionCache, s.Workers().Get(t.Cache))
	} else {
		t.decide(DecisionTag, s.Workers().tagged(sid))
	}
	return t, nil
}

// Learn is [Directory.Learn]. It never waits.
func (s *Static) Learn(_ context.Context, sid, workerID string, ttl time.Duration) {
	s.cache.put(sid, workerID, max(ttl, defaultSIDTTL), s.now(), 1)
}

// Touch is [Directory.Touch].
func (s *Static) Touch(sid string) { s.cache.owner(sid, s.now()) }

// Workers is [Directory.Workers].
func (s *Static) Workers() *Table { return s.tables.Workers() }

// Changed is [Directory.Changed].
func (s *Static) Changed() <-chan struct{} { return s.tables.Changed() }

// Secret is [Directory.Secret] of this process alone.
func (s *Static) Secret(context.Context) (string, error) { return s.secret, nil }

// Secrets is [Directory.Secrets].
func (s *Static) Secrets() []string { return []string{s.secret} }

// Accepts is [Directory.Accepts].
func (s *Static) Accepts(_ context.Context, shown string) bool {
	return subtle.ConstantTimeCompare([]byte(s.secret), []byte(shown)) == 1
}

// Opened does nothing: the other routers of a Static are not heard of.
func (s *Static) Opened() {}

// OpenedRatio returns 0: not known.
func (s *Static) OpenedRatio() float64 { return 0 }

// WorkerGone removes a worker until the next Set.
func (s *Static) WorkerGone(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.workers[id]; w != nil {
		if w.State == StateDraining {
			if s.left == nil {
				s.left = make(map[string]time.Time)
			}
			s.left[id] = time.Now().Add(lateTime)
		}
		delete(s.workers, id)
		s.publishLocked()
	}
}
