package link

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// The times of the heartbeat. Nobody waits for a process once three of its beats are missing: after
// 6 s, up to fewPeers processes. More processes beat less often, because all beats of all to all
// would take half of what one Redis can do at
// 500. So that nobody waits longer for one of them, a process that leaves a request unanswered is asked for a beat where
// all hear it, and from then on all give it the same 6 s.
const (
	beatEvery   = 2 * time.Second
	beatsMissed = 3
	fewPeers    = 100
	longestBeat = 10 * time.Minute // that a peer may announce
	askedAtOnce = 4                // peers; if more owe an answer, their clients are slow
	// A newcomer gets a beat as an answer, but not more often than this.
	beatAgain   = 200 * time.Millisecond
	beatVersion = 1
	maxProcess  = 64 // bytes of a process's id
)

// peer is another process of ours.
type peer struct {
	name         string
	namespaces   map[string]string
	heard        time.Time
	every        time.Duration
	asked        time.Time // when anybody asked for a beat since the last one; zero if nobody did
	silent       bool      // for too long; kept because Redis may still count it as a subscriber
	unsubscribed bool      // Redis no longer counted it as a subscriber, and it hasn't beaten since
}

// quietSince returns when the silence began that counts, and how long it may last.
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
	link    *Link
	process string
	channel string
	wake    chan struct{}
	leaving chan struct{} // closed when this process ends: it begins no more beats
	rested  chan struct{} // closed when run has ended: no beat is under way

	mu       sync.Mutex        // guards the rest
	known    map[string]*peer  // by process
	owner    map[string]string // uid to process
	since    time.Time         // when the subscription last came up: earlier silence doesn't count
	lastRest map[string]int    // by namespace: subscribers that weren't ours, at the last beat
}

// PeersChannel returns the channel of the heartbeat for a Config.Key.
func PeersChannel(key string) string { return "sidereal-peers:" + key }

func newPeers(l *Link) *peers {
	return &peers{
		link: l, process: NewID(12), channel: PeersChannel(l.Config.Key), wake: make(chan struct{}, 1),
		leaving: make(chan struct{}), rested: make(chan struct{}),
		known: make(map[string]*peer), owner: make(map[string]string), lastRest: make(map[string]int),
	}
}

// beatSoon makes run beat soon, for news about this process or for a newcomer.
func (p *peers) beatSoon() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run beats, and notices who doesn't, until ctx ends or goodbye is called.
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
		if due && p.link.Hears() {
			last = time.Now()
			p.beat(ctx)
		}
	}
}

// every returns the time between beats, which depends on the number of processes.
func (p *peers) every() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return beatEvery * time.Duration(max(len(p.known)+1, fewPeers)) / fewPeers
}

// beat says that this process lives, and counts Node's servers, for use in an outage.
func (p *peers) beat(ctx context.Context) {
	all := p.link.namespaces.all()
	p.publish(ctx, p.describe(all))
	for _, n := range all[:min(len(all), maxRemembered)] {
		if p.isLeaving() {
			return
		}
		if r, err := n.asks.responders(ctx); err == nil {
			p.mu.Lock()
			p.lastRest[n.Name] = r.unnamed
			p.mu.Unlock()
		}
	}
}

// maxRemembered limits the namespaces whose number of Node servers is remembered.
const maxRemembered = 8

func (p *peers) isLeaving() bool {
	select {
	case <-p.leaving:
		return true
	default:
		return false
	}
}

// goodbye is called once, while run runs. It waits for a beat that is under way: if that arrived
// after the goodbye, over another connection, the peers would take this process for alive again.
func (p *peers) goodbye(ctx context.Context) {
	close(p.leaving)
	select {
	case <-p.rested:
	case <-ctx.Done():
		return
	}
	if p.link.Hears() {
		p.publish(ctx, beat{V: beatVersion, Process: p.process, Gone: true})
	}
}

// publish publishes a beat at once, ahead of waiting messages: a beat that waited is worth nothing.
func (p *peers) publish(ctx context.Context, b beat) {
	text, err := json.Marshal(b)
	if err != nil {
		return // strings only; it cannot fail
	}
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	p.link.publishNow(ctx, p.channel, text) // a lost one counts as silence
}

// receive handles a beat of another process.
func (p *peers) receive(payload []byte) error {
	var b beat
	if err := json.Unmarshal(payload, &b); err != nil {
		return err
	}
	switch {
	case b.Process == p.process:
		return nil
	case b.Process == "" || len(b.Process) > maxProcess || len(b.Name) > MaxName || b.V < beatVersion:
		return errBeat
	}
	p.mu.Lock()
	old := p.known[b.Process]
	var gone []string
	if old != nil {
		gone = p.forgetLocked(b.Process, b.Namespaces)
	}
	if !b.Gone {
		p.known[b.Process] = &peer{name: b.Name, namespaces: b.Namespaces, heard: time.Now(), every: b.every()}
		for _, uid := range b.Namespaces {
			p.owner[uid] = b.Process
		}
	}
	few := len(p.known) < fewPeers // among many, each counts the others as Node's until they beat
	p.askedLocked(b.Asks)
	p.mu.Unlock()
	if !b.Gone && (old == nil || old.silent) && few || slices.Contains(b.Asks, p.process) {
		p.beatSoon() // it may not know us yet
	}
	p.dropEverywhere(gone)
	return nil
}

// forgetLocked forgets a process and returns its uids that aren't among those it has now.
func (p *peers) forgetLocked(process string, now map[string]string) (gone []string) {
	for name, uid := range p.known[process].namespaces {
		if p.owner[uid] == process {
			delete(p.owner, uid)
		}
		if now[name] != uid {
			gone = append(gone, uid)
		}
	}
	delete(p.known, process)
	return gone
}

// dropEverywhere stops all requests from waiting for answers of uids.
func (p *peers) dropEverywhere(uids []string) {
	if len(uids) == 0 {
		return
	}
	for _, n := range p.link.namespaces.all() {
		for _, uid := range uids {
			n.asks.open.drop(uid)
		}
	}
}

// expire marks processes as silent that weren't heard for too long, unless this process hears
// nobody.
func (p *peers) expire() {
	if !p.link.Hears() {
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
			p.link.Log.Info("peer silent; requests no longer wait for it", "peer", process)
		}
	}
	p.mu.Unlock()
	p.dropEverywhere(gone)
}

// resumed notes that beats are heard again.
func (p *peers) resumed() {
	p.mu.Lock()
	p.since = time.Now()
	p.mu.Unlock()
	p.beatSoon()
}

// allBack reports whether all living peers were heard since the subscription came up, and as many
// of Node's servers listen as before.
func (p *peers) allBack(ctx context.Context) bool {
	p.mu.Lock()
	for _, peer := range p.known {
		if !peer.silent && peer.heard.Before(p.since) {
			p.mu.Unlock()
			return false
		}
	}
	before := maps.Clone(p.lastRest)
	p.mu.Unlock()
	for _, n := range p.link.namespaces.all() {
		who := p.presence(n.Name)
		wanted := before[n.Name] + len(who.living) + len(who.unsubscribed)
		if wanted == 0 {
			continue
		}
		if r, err := n.asks.responders(ctx); err != nil || r.unnamed < before[n.Name] || r.listening < wanted {
			return false
		}
	}
	return true
}
