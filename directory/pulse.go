package directory

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// beatLate is how old the last beat that Redis took may be: older, and the next one has failed
	// or hangs.
	beatLate = beatEvery + beatTimeout/2
	// staleSlack is how much sooner than our last beat says our own record may seem to expire. A
	// read that is older than that beat shows the one before, which is beatEvery earlier.
	staleSlack = beatEvery / 2
	// sayEvery is how often the same trouble is logged.
	sayEvery = 30 * time.Second
)

// pulse is what this process's own records tell of Redis. A Redis may go on to answer and not take
// writes any more: then all records expire, whoever lives. Or it answers with what it knew a while
// ago. The absence of a record proves a death only to a process that sees its own.
type pulse struct {
	mu     sync.Mutex // guards the rest
	own    map[string]*ownRecord
	said   sparse
	warned bool // since the last beat that Redis took
}

// ownRecord is a record that this process beats.
type ownRecord struct {
	sent time.Time     // the last beat that Redis took
	kick chan struct{} // asks for another beat
}

// began notes that a record is beaten from now on.
func (p *pulse) began(key string, kick chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil {
		p.own = make(map[string]*ownRecord)
	}
	p.own[key] = &ownRecord{kick: kick}
}

// ended notes that nobody beats a record any more.
func (p *pulse) ended(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.own, key)
}

// took notes a beat that Redis took, and was sent then. It tells when the one before was sent.
func (p *pulse) took(key string, sent time.Time) (before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.own[key]; o != nil {
		before, o.sent = o.sent, sent
	}
	return before
}

// beats copies when the last beat of each own record was sent: before a look, to compare with what
// that shows.
func (p *pulse) beats() map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := make(map[string]time.Time, len(p.own))
	for key, o := range p.own {
		sent[key] = o.sent
	}
	return sent
}

// again asks for another beat of a record at once.
func (p *pulse) again(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.own[key]; o != nil {
		kick(o.kick)
	}
}

// failed logs at most every 30 s that Redis didn't take a beat.
func (p *pulse) failed(log *slog.Logger, err error) {
	due := p.said.due(sayEvery)
	p.mu.Lock()
	p.warned = p.warned || due
	p.mu.Unlock()
	if due {
		log.Warn("Redis answers but doesn't take beats; until it does, missing records count for nothing", "error", err)
	}
}

// wrote ends what failed began.
func (p *pulse) wrote(log *slog.Logger) {
	p.mu.Lock()
	told := p.warned
	p.warned = false
	p.mu.Unlock()
	if told {
		log.Info("Redis takes beats again")
	}
}

// blind tells whether a look proves nothing about records that it doesn't show, given the own beats
// of before the look, and which own records were missing though Redis has taken them. A process
// without a record of its own goes by others': somebody has beaten lately.
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
