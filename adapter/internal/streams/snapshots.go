package streams

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
)

const (
	storedAtOnce = 256
	gathering    = time.Millisecond // a socket that connects also joins rooms: one write for both
	storeRetry   = 250 * time.Millisecond
	renewAtOnce  = 500
)

// snapshots writes the snapshots of a process to Redis, many at a time: when a socket has
// connected, when its rooms or data have changed, and when it ends. While one batch is under way
// the next gathers.
type snapshots struct {
	form *Form
	wake chan struct{}

	nextLog time.Time // when a refusal may be logged again; only run uses it

	mu      sync.Mutex // guards the rest, and fields of leases
	queue   []*lease
	busy    bool
	losses  uint           // how often Redis was found to have lost its data
	moving  map[string]int // by pid: how often a snapshot is in the queue or in a batch
	changed chan struct{}  // closed when a batch ends; nil if nobody waits
}

func newSnapshots(f *Form) *snapshots {
	return &snapshots{form: f, wake: make(chan struct{}, 1), moving: make(map[string]int)}
}

func (s *snapshots) queueLocked(l *lease) {
	if l.queued || l.over {
		return
	}
	l.queued = true
	s.moving[l.pid]++
	s.queue = append(s.queue, l)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run stores snapshots until ctx ends.
func (s *snapshots) run(ctx context.Context) {
	renew := time.NewTicker(time.Second)
	defer renew.Stop()
	var renewed time.Time
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-renew.C:
			if every := s.renewal(); every > 0 && now.Sub(renewed) >= every {
				renewed = now
				s.renew(ctx)
			}
			for _, rec := range s.form.recovering() {
				rec.giveUp(ctx, now)
			}
			continue
		case <-s.wake:
		}
		pause.Reset(gathering)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		for s.store(ctx) {
		}
	}
}

// write is one snapshot on its way to Redis.
type write struct {
	lease *lease
	value []byte
	hash  string
	life  time.Duration
	left  bool // the client has gone and may come back
	cmd   *redis.Cmd

	losses uint // of snapshots when the write began
}

// store writes the waiting snapshots, one batch at most, and reports whether more are waiting.
func (s *snapshots) store(ctx context.Context) (more bool) {
	s.mu.Lock()
	n := min(len(s.queue), storedAtOnce)
	batch := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.busy = n > 0
	for _, l := range batch {
		l.queued = false
	}
	s.mu.Unlock()
	if n == 0 {
		return false
	}
	pipe := s.form.Conn.Client().Pipeline()
	var writes []*write
	for _, l := range batch {
		if w := s.prepare(l); w != nil {
			args := []any{w.value, w.life.Milliseconds()}
			for _, hash := range s.expected(l) {
				args = append(args, hash)
			}
			w.cmd = swap.Eval(ctx, pipe, []string{l.rec.key(l.pid)}, args...)
			writes = append(writes, w)
		}
	}
	if len(writes) > 0 {
		_, _ = pipe.Exec(ctx)
	}
	failed := false
	for _, w := range writes {
		failed = !s.stored(w) || failed
	}
	if failed {
		select {
		case <-time.After(storeRetry):
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	for _, l := range batch {
		if s.moving[l.pid]--; s.moving[l.pid] == 0 {
			delete(s.moving, l.pid)
		}
	}
	s.tellLocked()
	return len(s.queue) > 0 && ctx.Err() == nil
}

// settled returns once no write of a snapshot is under way, or ctx ends. It reports whether one
// was.
func (s *snapshots) settled(ctx context.Context, pid string) (was bool) {
	for {
		s.mu.Lock()
		if s.moving[pid] == 0 {
			s.mu.Unlock()
			return was
		}
		changed := s.changedLocked()
		s.mu.Unlock()
		was = true
		select {
		case <-changed:
		case <-ctx.Done():
			return was
		}
	}
}

func (s *snapshots) changedLocked() chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// expected returns the hashes of the values that Redis may have, if the snapshot is ours.
func (s *snapshots) expected(l *lease) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{l.hash}, l.unsure...)
}

// prepare makes the value to store for a lease now. The value is empty if the snapshot must be
// deleted. It returns nil if there is nothing to do.
func (s *snapshots) prepare(l *lease) *write {
	s.mu.Lock()
	was, ended, over, named := l.last, l.ended, l.over, l.named
	losses := s.losses
	l.epoch++
	s.mu.Unlock()
	w := &write{lease: l, life: l.rec.maxDisconnection + l.rec.grace(), left: was != nil, losses: losses}
	switch {
	case over:
		return nil
	case ended:
		return w
	}
	owner := ""
	if was == nil {
		now, ok := l.holder.Snapshot()
		if !ok {
			return nil // its end will be reported soon
		}
		was, owner, w.life = &now, l.rec.namespace.UID, l.rec.life()
	}
	var err error
	if w.value, err = l.encode(*was, owner, named); err != nil {
		s.form.Log.Warn("socket can't be stored; its client can't be recovered", "namespace", l.rec.namespace.Name, "socket", was.ID, "error", err)
		w.value = nil // without its data the app might take the client for another
	}
	w.hash = hashOf(w.value)
	return w
}

// complain logs Redis's refusals of snapshots, at most once in 10 s. Only run uses it.
func (s *snapshots) complain(err error, message string) {
	if now := time.Now(); now.After(s.nextLog) {
		s.nextLog = now.Add(link.ComplaintEvery)
		s.form.Log.Error(message, "error", err)
	}
}

// stored handles the outcome of a write, and reports whether Redis was there.
func (s *snapshots) stored(w *write) bool {
	n, err := w.cmd.Int()
	l := w.lease
	s.mu.Lock()
	switch {
	case err != nil && link.Outcome(err) == link.Refused:
		s.mu.Unlock()
		s.complain(err, "Redis refuses a session; it is not recovered")
		return true
	case err != nil:
		if link.Answered(err) {
			defer s.complain(err, "Redis stores no sessions; they are kept here")
		}
		l.unsure = append(l.unsure, w.hash)
		s.queueLocked(l)
		s.mu.Unlock()
		return false
	case n == 1:
		l.hash, l.unsure = w.hash, nil
		s.mu.Unlock()
		if w.left && w.hash != "" {
			l.rec.departed(l.pid, w.hash)
		}
		return true
	}
	s.mu.Unlock()
	if n < 0 { // another server has it
		l.displace()
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.losses == s.losses { // otherwise Redis lost it, and storeAgain has queued it
		l.over = true // a Node server took it, or it expired while Redis was away
	}
	return true
}

// storeAgain stores all snapshots again after Redis has lost its data. Redis may hold some that
// were stored before the loss was noticed; these are still ours.
func (s *snapshots) storeAgain() {
	s.mu.Lock()
	s.losses++
	s.mu.Unlock()
	for _, rec := range s.form.recovering() {
		for _, l := range rec.all() {
			s.mu.Lock()
			if l.hash != "" {
				l.unsure = append(l.unsure, l.hash)
			}
			l.hash, l.over = "", false
			if l.open {
				s.queueLocked(l)
			}
			s.mu.Unlock()
		}
	}
}

// renewal is how often snapshots are renewed. Zero means that recovery is off.
func (s *snapshots) renewal() time.Duration {
	for _, rec := range s.form.recovering() {
		return rec.renewal()
	}
	return 0
}

// renew extends the life of the snapshots of the sockets here.
func (s *snapshots) renew(ctx context.Context) {
	pipe := s.form.Conn.Client().Pipeline()
	for _, rec := range s.form.recovering() {
		for _, l := range rec.all() {
			pipe.PExpire(ctx, rec.key(l.pid), rec.life())
			if pipe.Len() == renewAtOnce {
				_, _ = pipe.Exec(ctx) // a failed one is renewed the next time
			}
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
}

func (s *snapshots) tellLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// idle reports whether all snapshots are stored.
func (s *snapshots) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.idleLocked()
}

func (s *snapshots) idleLocked() bool { return !s.busy && len(s.queue) == 0 }

// drain returns when all snapshots are stored, or ctx ends.
func (s *snapshots) drain(ctx context.Context) {
	for {
		s.mu.Lock()
		if s.idleLocked() {
			s.mu.Unlock()
			return
		}
		changed := s.changedLocked()
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
