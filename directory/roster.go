package directory

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// beatSlack is the least delay of a record's expiry that counts as a new beat: less than the time
// between two beats, more than the jitter of two trips to Redis.
const beatSlack = 500 * time.Millisecond

// lateTime is the time that clients may still send to a worker that has drained and left, because
// they don't know yet that their sessions have ended.
const lateTime = 5 * time.Second

// roster derives the state of each worker from what Redis shows. It does no I/O; callers pass the
// time.
type roster struct {
	sidTTL  time.Duration
	members map[string]*member
	routers []*Router
	raw     map[string]string    // routers' records, to see changes
	gone    map[string]time.Time // until when a record of that id is a leftover
	heard   map[string]time.Time // ids that events named, when
	left    map[string]time.Time // workers that have drained, until when their clients may not know
	missing map[string]time.Time // since when a member of the set workers or routers has no record; by prunable key
	grace   time.Time            // nothing is lost before
	dim     bool                 // the last observation proved nothing
}

type member struct {
	worker   Worker
	raw      string
	expires  time.Time // when the record as last seen will have expired
	lost     time.Time // since when; zero: not lost
	recorded bool      // seen in the last observation
	silent   time.Time // until when its supervisor's word counts that it has missed its beats
}

// observation is the result of one look at Redis.
type observation struct {
	at      time.Time
	workers []seen
	routers []seen
	secret  secretSeen
	blind   bool // Redis may not take writes, or have lost data or us: absence proves nothing

	unreadable []string            // keys that are no good
	junk       map[string][]string // members that can't be ids, by set
	loose      []string            // fields of the hash of beats without a member
}

func (o *observation) drop(set, id string) {
	if o.junk == nil {
		o.junk = make(map[string][]string)
	}
	o.junk[set] = append(o.junk[set], id)
}

// all returns every member of both sets.
func (o *observation) all() iter.Seq2[string, seen] {
	return func(yield func(kind string, s seen) bool) {
		for _, s := range o.workers {
			if !yield(workerKind.name, s) {
				return
			}
		}
		for _, s := range o.routers {
			if !yield(routerKind.name, s) {
				return
			}
		}
	}
}

// seen is one member of a set, with its record if it has one.
type seen struct {
	id  string
	raw string        // empty: no record
	ttl time.Duration // what is left of it
	bad string        // why there is none though the key exists

	unlisted bool // the set doesn't have it

	// Of a record that was remembered instead of read:
	beaten bool // since the last look
	load   int
}

// news is what an observation changed, for the log.
type news struct {
	changed                 bool
	lost, back, forgotten   []string
	unreadable              []string
	staleWorkers, staleNode []string // members to prune from the sets workers and routers
	staleBeats              []string // fields to prune from the hash of beats
	junk                    map[string][]string
}

func newRoster(sidTTL time.Duration) *roster {
	return &roster{
		sidTTL:  sidTTL,
		members: make(map[string]*member),
		raw:     make(map[string]string),
		gone:    make(map[string]time.Time),
		heard:   make(map[string]time.Time),
		left:    make(map[string]time.Time),
		missing: make(map[string]time.Time),
	}
}

// observe updates the roster from one look at Redis.
func (r *roster) observe(o observation) news {
	var n news
	if r.dim && !o.blind {
		r.returned(o.at)
	}
	r.dim = o.blind && len(r.members) > 0
	for _, m := range r.members {
		m.recorded = false
	}
	n.unreadable, n.junk = append(n.unreadable, o.unreadable...), o.junk
	for _, s := range o.workers {
		if s.bad != "" {
			n.unreadable = append(n.unreadable, s.id+": "+s.bad)
		}
		if s.raw == "" {
			if !s.unlisted && r.staleFor(o, "w"+s.id) {
				n.staleWorkers = append(n.staleWorkers, s.id)
			}
			continue
		}
		delete(r.missing, "w"+s.id)
		r.saw(s, o.at, &n)
	}
	for id, m := range r.members {
		if !m.recorded {
			r.missed(id, m, o, &n)
		}
	}
	r.sawRouters(o, &n)
	for _, field := range o.loose {
		if r.staleFor(o, "b"+field) {
			n.staleBeats = append(n.staleBeats, field)
		}
	}
	for _, m := range r.members {
		if !m.silent.IsZero() && o.at.After(m.silent) {
			m.silent, n.changed = time.Time{}, true
		}
	}
	maps.DeleteFunc(r.gone, func(_ string, until time.Time) bool { return o.at.After(until) })
	maps.DeleteFunc(r.heard, func(_ string, at time.Time) bool { return o.at.Sub(at) > recordTTL })
	maps.DeleteFunc(r.left, func(_ string, until time.Time) bool { return o.at.After(until) })
	maps.DeleteFunc(r.missing, func(_ string, since time.Time) bool { return o.at.Sub(since) > 4*recordTTL })
	return n
}

// saw updates a worker from its record.
func (r *roster) saw(s seen, at time.Time, n *news) {
	if at.Before(r.gone[s.id]) {
		return // written by commands that were under way when the worker died
	}
	expires := at.Add(s.ttl)
	m := r.members[s.id]
	if m != nil && m.raw == s.raw && m.lost.IsZero() {
		m.recorded = true
		beat := s.beaten || expires.Sub(m.expires) > beatSlack
		m.expires = expires
		if s.beaten {
			m.worker.Clients = countOf(s.load)
		}
		if beat {
			m.worker.Beat++
			n.changed = true
		}
		return
	}
	w, err := decodeWorker(s.raw, s.id)
	if err != nil {
		n.unreadable = append(n.unreadable, s.id+": "+err.Error())
		return
	}
	if s.beaten {
		w.Clients = countOf(s.load)
	}
	if m == nil {
		m = &member{}
		r.members[s.id] = m
	} else {
		w.Beat = m.worker.Beat
		if !m.lost.IsZero() {
			n.back = append(n.back, s.id)
		}
	}
	w.Beat++
	*m = member{worker: *w, raw: s.raw, expires: expires, recorded: true, silent: m.silent}
	n.changed = true
}

// missed handles the absence of a known worker's record. The worker is lost once the record must
// have expired, and forgotten a sid TTL later.
func (r *roster) missed(id string, m *member, o observation, n *news) {
	switch {
	case o.blind || o.at.Before(r.grace) || o.at.Before(m.expires):
	case m.lost.IsZero():
		m.lost = o.at
		m.worker.State = StateLost
		n.lost = append(n.lost, id)
		n.changed = true
	case o.at.Sub(m.lost) >= r.sidTTL:
		delete(r.members, id)
		n.forgotten = append(n.forgotten, id)
		n.changed = true
	}
}

// staleFor reports whether a member of a set has had no record for a record's whole life.
func (r *roster) staleFor(o observation, key string) bool {
	since, ok := r.missing[key]
	if !ok || o.blind || o.at.Before(r.grace) {
		if ok || len(r.missing) < 2*maxMembers {
			r.missing[key] = o.at
		}
		return false
	}
	return o.at.Sub(since) >= recordTTL
}

func (r *roster) sawRouters(o observation, n *news) {
	raw, expired := make(map[string]string, len(o.routers)), make(map[string]bool)
	known := make(map[string]*Router, len(r.routers))
	for _, rt := range r.routers {
		known[rt.ID] = rt
	}
	var routers []*Router
	for _, s := range o.routers {
		if s.bad != "" {
			n.unreadable = append(n.unreadable, s.id+": "+s.bad)
		}
		if s.raw == "" {
			expired[s.id] = !s.unlisted
			if !s.unlisted && r.staleFor(o, "r"+s.id) {
				n.staleNode = append(n.staleNode, s.id)
			}
			continue
		}
		delete(r.missing, "r"+s.id)
		rt := known[s.id]
		if rt == nil || r.raw[s.id] != s.raw {
			var err error
			if rt, err = decodeRouter(s.raw, s.id); err != nil {
				n.unreadable = append(n.unreadable, s.id+": "+err.Error())
				continue
			}
		}
		if load := countOf(s.load); s.beaten && rt.Sessions != load {
			other := *rt // tables have the old one
			rt, other.Sessions, n.changed = &other, load, true
		}
		raw[s.id] = s.raw
		routers = append(routers, rt)
	}
	if o.blind { // those whose records have expired stay; one that leaves takes its id out of the set
		for _, rt := range r.routers {
			if raw[rt.ID] == "" && expired[rt.ID] {
				raw[rt.ID] = r.raw[rt.ID]
				routers = append(routers, rt)
			}
		}
	}
	n.changed = n.changed || !maps.Equal(raw, r.raw)
	r.routers, r.raw = routers, raw
}

// returned handles the return of Redis, or of its writes: workers get one full TTL to write their
// records again.
func (r *roster) returned(at time.Time) {
	r.grace = at.Add(recordTTL)
	clear(r.missing)
}

// maxGone limits the number of remembered workers that died in the last seconds.
const maxGone = 1 << 14

// died removes a worker at once. It returns false if it was known to be gone.
func (r *roster) died(id string, at time.Time) bool {
	_, known := r.gone[id]
	m, had := r.members[id]
	if had && m.worker.State == StateDraining {
		r.left[id] = at.Add(lateTime)
	}
	delete(r.members, id)
	// A leftover record expires by then. A later record comes from a worker that is alive after
	// all.
	if known || len(r.gone) < maxGone {
		r.gone[id] = at.Add(recordTTL + time.Second)
	}
	return had || !known
}

// lives handles a worker's own event, which counts as a beat.
func (r *roster) lives(id string, at time.Time) {
	delete(r.gone, id)
	if m := r.members[id]; m != nil && m.lost.IsZero() && m.expires.Before(at.Add(recordTTL)) {
		m.expires = at.Add(recordTTL)
	}
}

// maxHeard limits the number of remembered ids of events.
const maxHeard = 1024

// heardOf stores an id that an event named, so that the next look reads its record even if the
// set of workers is unreadable.
func (r *roster) heardOf(id string, at time.Time) {
	if len(r.heard) < maxHeard {
		r.heard[id] = at
	}
}

// silenceFor is how long a supervisor's report of missed beats counts. The supervisor repeats it
// every second.
const silenceFor = 3 * time.Second

// quiet handles the report that a worker has missed its beats, or beats again. It returns whether
// the table changes.
func (r *roster) quiet(id string, silent bool, at time.Time) (changed bool) {
	m := r.members[id]
	if m == nil {
		return false
	}
	was := !m.silent.IsZero() // that is how the table was made
	m.silent = time.Time{}
	if silent {
		m.silent = at.Add(silenceFor)
	}
	return was != silent
}

// known returns the ids of the members, and those that events named.
func (r *roster) known() members {
	m := members{make(map[string]bool), make(map[string]bool)}
	for id := range r.members {
		m.workers[id] = true
	}
	for id := range r.heard {
		m.workers[id] = true
	}
	for id := range r.raw {
		m.routers[id] = true
	}
	return m
}

// nextExpiry returns the time until the next record expires unless its worker beats, at most
// most.
func (r *roster) nextExpiry(at time.Time, most time.Duration) time.Duration {
	next := most
	for _, m := range r.members {
		if m.lost.IsZero() && m.expires.After(at) {
			next = min(next, m.expires.Sub(at))
		}
	}
	return next
}

// table returns the roster's present state, with workers that the roster doesn't know.
func (r *roster) table(more []Worker) *Table {
	byID := make(map[string]*Worker, len(r.members)+len(more))
	for i := range more {
		byID[more[i].ID] = &more[i]
	}
	var sick []*Worker
	ready := slices.ContainsFunc(more, func(w Worker) bool { return w.State == StateReady })
	for id, m := range r.members {
		w := m.worker
		byID[id] = &w
		if w.State == StateReady && !m.silent.IsZero() {
			w.State = StateSick
			sick = append(sick, &w)
		}
		ready = ready || w.State == StateReady
	}
	if !ready { // it may be the machine that is too slow, and one of them is better than none
		for _, w := range sick {
			w.State = StateReady
		}
	}
	return newTable(byID, slices.Clone(r.routers), maps.Clone(r.left))
}
