package directory

import (
	"sync"
	"time"
)

const (
	// beatLate is the age of the last accepted beat beyond which the next beat has failed or
	// hangs.
	beatLate = beatEvery + beatTimeout/2
	// staleSlack is how much sooner than our last beat implies our own record may seem to expire.
	// A read that is older than that beat shows the beat before, which is beatEvery earlier.
	staleSlack = beatEvery / 2
	// logEvery is the time between two logs of the same trouble.
	logEvery = 30 * time.Second
)

// pulse judges Redis by this process's own records. A Redis may answer but refuse writes: then
// all records expire, also of living workers. Or it may answer with an old state. So a missing
// record proves a death only to a process that sees its own record.
type pulse struct {
	*app

	mu     sync.Mutex // guards the rest
	own    map[string]*ownRecord
	said   sparse
	warned bool // since the last beat that Redis accepted
}

// ownRecord is a record that this process keeps alive by beats.
type ownRecord struct {
	sent time.Time     // when the last accepted beat was sent
	kick chan struct{} // requests another beat
}

// began adds an own record.
func (p *pulse) began(key string, kick chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil {
		p.own = make(map[string]*ownRecord)
	}
	p.own[key] = &ownRecord{kick: kick}
}

// ended removes an own record.
func (p *pulse) ended(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.own, key)
}

// took stores the time at which an accepted beat was sent. It returns the time of the one before.
func (p *pulse) took(key string, sent time.Time) (before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.own[key]; o != nil {
		before, o.sent = o.sent, sent
	}
	return before
}

// beats returns the time of each own record's last beat. A look compares it with what Redis
// shows.
func (p *pulse) beats() map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := make(map[string]time.Time, len(p.own))
	for key, o := range p.own {
		sent[key] = o.sent
	}
	return sent
}

// again makes a record's owner beat at once.
func (p *pulse) again(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.own[key]; o != nil {
		kick(o.kick)
	}
}

// failed has Redis probed after a beat failed. It logs, at most every 30 s, that Redis refused the
// beat.
func (p *pulse) failed(err error) {
	p.metrics.beatFailures.Inc()
	p.conn.Doubt()
	if !p.conn.Up() {
		return
	}
	due := p.said.due(logEvery)
	p.mu.Lock()
	p.warned = p.warned || due
	p.mu.Unlock()
	if due {
		p.log.Warn("Redis answers but refuses heartbeats; until it accepts them, missing records are ignored", "error", err)
	}
}

// wrote logs that Redis accepts beats again, after failed.
func (p *pulse) wrote() {
	p.mu.Lock()
	told := p.warned
	p.warned = false
	p.mu.Unlock()
	if told {
		p.log.Info("Redis accepts heartbeats again")
	}
}

// blind reports whether a look proves nothing about the records that it doesn't show. sent has
// the own beats from before the look. It also returns the own records that are missing although
// Redis accepted them. A process without own records judges by others': somebody has beaten
// lately.
func (k keys) blind(o *observation, sent map[string]time.Time) (is bool, missing []string) {
	shown := make(map[string]time.Duration, len(sent))
	lately := false
	for kind, s := range o.all() {
		if s.raw == "" {
			continue
		}
		lately = lately || s.ttl > recordTTL-beatLate
		key := k.worker(s.id)
		if kind == routerKind.name {
			key = k.router(s.id)
		}
		if _, own := sent[key]; own {
			shown[key] = s.ttl
		}
	}
	if len(sent) == 0 {
		return !lately, nil
	}
	for key, at := range sent {
		ttl, ok := shown[key]
		switch {
		case o.at.Sub(at) > beatLate:
			is = true
		case !ok:
			is = true
			missing = append(missing, key)
		case o.at.Add(ttl).Before(at.Add(recordTTL - staleSlack)):
			is = true
		}
	}
	return is, missing
}
