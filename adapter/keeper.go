package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/socketio/cluster"
)

const (
	storedAtOnce = 256
	gathering    = time.Millisecond // a socket that connects joins rooms, too: one write for both
	storeAgain   = 250 * time.Millisecond
	renewAtOnce  = 500
)

// keeper writes the sessions of a process to Redis, many at a time: when a socket has connected, when its rooms or data
// changed, and when it ends. While one batch is under way the next gathers.
type keeper struct {
	form *streams
	wake chan struct{}

	wordNext time.Time // when Redis's word may be logged again; only run uses it

	mu      sync.Mutex // guards the rest, and fields of tenures
	queue   []*tenure
	busy    bool
	losses  uint           // how often Redis was found to have lost what it had
	moving  map[string]int // by pid, how often a session is in the queue or in a batch
	changed chan struct{}  // closed when a batch ended; nil: nobody waits
}

func newKeeper(f *streams) *keeper {
	return &keeper{form: f, wake: make(chan struct{}, 1), moving: make(map[string]int)}
}

func (k *keeper) queueLocked(t *tenure) {
	if t.queued || t.over {
		return
	}
	t.queued = true
	k.moving[t.pid]++
	k.queue = append(k.queue, t)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run stores until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	renew := time.NewTicker(time.Second)
	defer renew.Stop()
	var renewed time.Time
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-renew.C:
			if every := k.renewal(); every > 0 && now.Sub(renewed) >= every {
				renewed = now
				k.renew(ctx)
			}
			continue
		case <-k.wake:
		}
		pause.Reset(gathering)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
		for k.store(ctx) {
		}
	}
}

// write is one session on its way to Redis.
type write struct {
	t     *tenure
	value []byte
	hash  string
	life  time.Duration
	cmd   *redis.Cmd
	final bool

	losses uint // the keeper's when the write began
}

// store writes what waits, at most a batch, and tells whether more does.
func (k *keeper) store(ctx context.Context) (more bool) {
	k.mu.Lock()
	n := min(len(k.queue), storedAtOnce)
	batch := k.queue[:n:n]
	k.queue = k.queue[n:]
	k.busy = n > 0
	for _, t := range batch {
		t.queued = false
	}
	k.mu.Unlock()
	if n == 0 {
		return false
	}
	pipe := k.form.r.conn.Client().Pipeline()
	var writes []*write
	for _, t := range batch {
		if w := k.prepare(t); w != nil {
			args := []any{w.value, w.life.Milliseconds()}
			for _, hash := range k.expected(t) {
				args = append(args, hash)
			}
			w.cmd = swap.Eval(ctx, pipe, []string{t.rec.key(t.pid)}, args...)
			writes = append(writes, w)
		}
	}
	if len(writes) > 0 {
		_, _ = pipe.Exec(ctx)
	}
	failed := false
	for _, w := range writes {
		failed = !k.stored(w) || failed
	}
	if failed {
		select {
		case <-time.After(storeAgain):
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = false
	for _, t := range batch {
		if k.moving[t.pid]--; k.moving[t.pid] == 0 {
			delete(k.moving, t.pid)
		}
	}
	k.tellLocked()
	return len(k.queue) > 0 && ctx.Err() == nil
}

// settled returns once nothing of a session is on its way to Redis from here, or ctx ended. It
// tells whether anything was.
func (k *keeper) settled(ctx context.Context, pid string) (was bool) {
	for {
		k.mu.Lock()
		if k.moving[pid] == 0 {
			k.mu.Unlock()
			return was
		}
		changed := k.changedLocked()
		k.mu.Unlock()
		was = true
		select {
		case <-changed:
		case <-ctx.Done():
			return was
		}
	}
}

func (k *keeper) changedLocked() chan struct{} {
	if k.changed == nil {
		k.changed = make(chan struct{})
	}
	return k.changed
}

// expected are the hashes of what may be in Redis, if it is ours.
func (k *keeper) expected(t *tenure) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string{t.hash}, t.unsure...)
}

// prepare makes the value to be stored for a session now, empty if it is to be deleted; nil: there is nothing to store.
func (k *keeper) prepare(t *tenure) *write {
	k.mu.Lock()
	was, ended, over, named := t.last, t.ended, t.over, t.named
	losses := k.losses
	t.epoch++
	k.mu.Unlock()
	w := &write{t: t, life: t.rec.maxDisconnection, final: was != nil || ended, losses: losses}
	switch {
	case over:
		return nil
	case ended:
		return w
	}
	owner := ""
	if was == nil {
		now, ok := t.holder.Snapshot()
		if !ok {
			return nil // its end is about to be told
		}
		was, owner, w.life = &now, t.rec.n.uid, t.rec.life()
	}
	var err error
	if w.value, err = t.encode(*was, owner, named); err != nil {
		k.form.r.log.Warn().Str("namespace", t.rec.n.name).Str("socket", was.ID).Err(err).Msg("socket's data cannot be stored; it is not recovered")
		w.value, _ = t.encode(cluster.Snapshot{ID: was.ID, PID: was.PID, Rooms: was.Rooms, Data: map[string]any{}}, owner, named)
	}
	w.hash = hashOf(w.value)
	return w
}

// complain logs what Redis says to sessions, at most once in 10 s. Only run uses it.
func (k *keeper) complain(err error, what string) {
	if now := time.Now(); now.After(k.wordNext) {
		k.wordNext = now.Add(complaintEvery)
		k.form.r.log.Error().Err(err).Msg(what)
	}
}

// stored takes the outcome of a write, and tells whether Redis was there.
func (k *keeper) stored(w *write) bool {
	n, err := w.cmd.Int()
	t := w.t
	k.mu.Lock()
	switch {
	case err != nil && outcome(err) == refused:
		k.mu.Unlock()
		k.complain(err, "Redis refuses a session; it is not recovered")
		return true
	case err != nil:
		if answered(err) {
			defer k.complain(err, "Redis stores no sessions; they are kept here")
		}
		t.unsure = append(t.unsure, w.hash)
		k.queueLocked(t)
		k.mu.Unlock()
		return false
	case n == 1:
		t.hash, t.unsure = w.hash, nil
		k.mu.Unlock()
		return true
	}
	k.mu.Unlock()
	if n < 0 { // another server has it
		t.displace()
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.losses == k.losses { // else Redis lost it, and again has queued it
		t.over = true // a server of Node's took it, or it expired while Redis was away
	}
	return true
}

// again stores all sessions anew: Redis has lost what it had. It may hold some that were stored
// since, before the loss was noticed: these are still ours.
func (k *keeper) again() {
	k.mu.Lock()
	k.losses++
	k.mu.Unlock()
	for _, n := range k.form.r.namespaces() {
		rec := n.talk.(*streamTalk).recovery.Load()
		if rec == nil {
			continue
		}
		for _, t := range rec.all() {
			k.mu.Lock()
			if t.hash != "" {
				t.unsure = append(t.unsure, t.hash)
			}
			t.hash, t.over = "", false
			if t.open {
				k.queueLocked(t)
			}
			k.mu.Unlock()
		}
	}
}

// renewal is how often sessions are renewed; 0: recovery is off.
func (k *keeper) renewal() time.Duration {
	for _, n := range k.form.r.namespaces() {
		if rec := n.talk.(*streamTalk).recovery.Load(); rec != nil {
			return rec.renewal()
		}
	}
	return 0
}

// renew has the sessions of the sockets here live on.
func (k *keeper) renew(ctx context.Context) {
	pipe := k.form.r.conn.Client().Pipeline()
	for _, n := range k.form.r.namespaces() {
		rec := n.talk.(*streamTalk).recovery.Load()
		if rec == nil {
			continue
		}
		for _, t := range rec.all() {
			pipe.PExpire(ctx, rec.key(t.pid), rec.life())
			if pipe.Len() == renewAtOnce {
				_, _ = pipe.Exec(ctx) // what fails is renewed the next time
			}
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx)
	}
}

func (k *keeper) tellLocked() {
	if k.changed != nil {
		close(k.changed)
		k.changed = nil
	}
}

// drain returns when all is stored, or ctx ended.
func (k *keeper) drain(ctx context.Context) {
	for {
		k.mu.Lock()
		if !k.busy && len(k.queue) == 0 {
			k.mu.Unlock()
			return
		}
		changed := k.changedLocked()
		k.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
