package adapter

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// The heartbeat's times. A process of which three beats did not come is not waited for any more: after 6 s, up to fewPeers.
// More of them beat more seldom, or every beat of each, told to all, would be half of what one Redis can do at 500. So that
// none of them is waited for longer, one that leaves a request unanswered is asked for a beat where all hear it: from then on
// all give it the same 6 s.
const (
	beatEvery   = 2 * time.Second
	beatsMissed = 3
	fewPeers    = 100
	longestBeat = 10 * time.Minute // that a peer may announce
	askedAtOnce = 4                // peers: where more owe an answer it is their clients that are slow
	// newcomers are answered with a beat of one's own, but not more often than this
	beatAgain   = 200 * time.Millisecond
	beatVersion = 1
	maxProcess  = 64 // bytes of a process's id
	maxName     = 512
)

// peer is another process of ours.
type peer struct {
	name       string
	namespaces map[string]string
	heard      time.Time
	every      time.Duration
	asked      time.Time // for a beat, by whomever, since the last; zero: it was not
	silent     bool      // too long: kept, since Redis may still count it as a subscriber
	deaf       bool      // Redis did not count it as a subscriber any more, and it has not beaten since
}

// quietSince is when the silence began that counts, and how long it may be.
func (p *peer) quietSince(resumed time.Time) (begin time.Time, atMost time.Duration) {
	begin, atMost = p.heard, beatsMissed*p.every
	if !p.asked.IsZero() && p.asked.Add(beatsMissed*beatEvery).Before(begin.Add(atMost)) {
		begin, atMost = p.asked, beatsMissed*beatEvery
	}
	if resumed.After(begin) {
		begin = resumed
	}
	return begin, atMost
}

// peers knows the other processes of ours by their heartbeats.
type peers struct {
	r       *Redis
	process string
	channel string
	wake    chan struct{}
	leaving chan struct{} // closed when this process goes: no beat is begun any more
	rested  chan struct{} // closed when run has ended: none is under way

	mu       sync.Mutex        // guards the rest
	known    map[string]*peer  // by process
	owner    map[string]string // uid to process
	since    time.Time         // when the subscription last came up: silence before does not count
	lastRest map[string]int    // by namespace: subscribers that were not ours, at the last beat
}

func newPeers(r *Redis) *peers {
	return &peers{
		r: r, process: newID(12), channel: "sidereal-peers:" + r.cfg.Key, wake: make(chan struct{}, 1),
		leaving: make(chan struct{}), rested: make(chan struct{}),
		known: make(map[string]*peer), owner: make(map[string]string), lastRest: make(map[string]int),
	}
}

// nudge makes a beat soon: for news about this process, or for a newcomer.
func (p *peers) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run beats, and notices who does not, until ctx ends or goodbye is called.
func (p *peers) run(ctx context.Context) error {
	defer close(p.rested)
	ticker := time.NewTicker(beatEvery / 4)
	defer ticker.Stop()
	var last time.Time
	var damped <-chan time.Time
	for {
		due := true
		select {
		case <-ctx.Done():
			return nil
		case <-p.leaving:
			return nil
		case <-p.wake:
			if rest := beatAgain - time.Since(last); rest > 0 {
				damped, due = time.After(rest), false
			}
		case <-damped:
			damped = nil
		case <-ticker.C:
			p.expire()
			due = time.Since(last) >= p.every()
		}
		if due && p.r.up.Load() {
			last = time.Now()
			p.beat(ctx)
		}
	}
}

// every is the time between beats, by the number of processes.
func (p *peers) every() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return beatEvery * time.Duration(max(len(p.known)+1, fewPeers)) / fewPeers
}

// beat says that this process lives, and looks how many others of Node's there are, for outages.
func (p *peers) beat(ctx context.Context) {
	all := p.r.namespaces()
	p.say(ctx, p.describe(all))
	for _, n := range all[:min(len(all), maxRemembered)] {
		if p.goes() {
			return
		}
		if t, err := n.census(ctx); err == nil {
			p.mu.Lock()
			p.lastRest[n.name] = t.rest
			p.mu.Unlock()
		}
	}
}

// maxRemembered is of how many namespaces the number of Node's servers is remembered.
const maxRemembered = 8

func (p *peers) goes() bool {
	select {
	case <-p.leaving:
		return true
	default:
		return false
	}
}

// goodbye is called once, while run runs. It lets a beat that is under way arrive first: one that came after it, over another
// connection, would bring this process back to life for its peers.
func (p *peers) goodbye(ctx context.Context) {
	close(p.leaving)
	select {
	case <-p.rested:
	case <-ctx.Done():
		return
	}
	if p.r.up.Load() {
		p.say(ctx, beat{V: beatVersion, Process: p.process, Gone: true})
	}
}

// say publishes at once, past what may be waiting: a beat that waited is worth nothing.
func (p *peers) say(ctx context.Context, b beat) {
	text, err := json.Marshal(b)
	if err != nil {
		return // strings only; it cannot fail
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	p.r.tellAll(ctx, p.channel, text) // lost ones are what silence is for
}

// hear takes a beat.
func (p *peers) hear(payload []byte) error {
	var b beat
	if err := json.Unmarshal(payload, &b); err != nil {
		return err
	}
	switch {
	case b.Process == p.process:
		return nil
	case b.Process == "" || len(b.Process) > maxProcess || len(b.Name) > maxName || b.V < beatVersion:
		return errBeat
	}
	p.mu.Lock()
	old := p.known[b.Process]
	var left []string
	if old != nil {
		left = p.dropLocked(b.Process, b.Namespaces)
	}
	if !b.Gone {
		p.known[b.Process] = &peer{name: b.Name, namespaces: b.Namespaces, heard: time.Now(), every: b.every()}
		for _, uid := range b.Namespaces {
			p.owner[uid] = b.Process
		}
	}
	few := len(p.known) < fewPeers // among many each counts the others as strangers until they beat
	p.askedLocked(b.Asks)
	p.mu.Unlock()
	if !b.Gone && (old == nil || old.silent) && few || slices.Contains(b.Asks, p.process) {
		p.nudge() // it may not know us yet
	}
	p.tellGone(left)
	return nil
}

// dropLocked forgets a process and returns the uids that are not among those it has now.
func (p *peers) dropLocked(process string, now map[string]string) (left []string) {
	for name, uid := range p.known[process].namespaces {
		if p.owner[uid] == process {
			delete(p.owner, uid)
		}
		if now[name] != uid {
			left = append(left, uid)
		}
	}
	delete(p.known, process)
	return left
}

// tellGone ends the waiting for answers of uids that will not come.
func (p *peers) tellGone(uids []string) {
	if len(uids) == 0 {
		return
	}
	for _, n := range p.r.namespaces() {
		for _, uid := range uids {
			n.calls.lose(uid)
		}
	}
}

// expire marks those as silent that were not heard for long, unless nobody could be heard.
func (p *peers) expire() {
	if !p.r.up.Load() {
		return
	}
	var gone []string
	p.mu.Lock()
	for process, peer := range p.known {
		if since, atMost := peer.quietSince(p.since); !peer.silent && time.Since(since) > atMost {
			peer.silent = true
			for _, uid := range peer.namespaces {
				gone = append(gone, uid)
			}
			p.r.log.Info().Str("peer", process).Msg("peer silent; not waited for any more")
		}
	}
	p.mu.Unlock()
	p.tellGone(gone)
}

// resumed notes that beats are heard again.
func (p *peers) resumed() {
	p.mu.Lock()
	p.since = time.Now()
	p.mu.Unlock()
	p.nudge()
}

// back tells whether all living peers were heard since the subscription came up, and as many servers of Node's listen
// as before.
func (p *peers) back(ctx context.Context) bool {
	p.mu.Lock()
	for _, peer := range p.known {
		if !peer.silent && peer.heard.Before(p.since) {
			p.mu.Unlock()
			return false
		}
	}
	before := maps.Clone(p.lastRest)
	p.mu.Unlock()
	for _, n := range p.r.namespaces() {
		who := p.of(n.name)
		wanted := before[n.name] + len(who.living) + len(who.deaf)
		if wanted == 0 {
			continue
		}
		if t, err := n.census(ctx); err != nil || t.rest < before[n.name] || t.listening < wanted {
			return false
		}
	}
	return true
}
