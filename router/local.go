package router

import (
	"slices"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/directory"
)

// A session whose worker is on the host where its client enters needs no hop: its WebSocket is
// passed, and its polls go through a Unix socket. So a router prefers the workers of its own host,
// as long as these don't have clearly more sessions than the app's workers have on average.
//
// A router knows the sessions at the workers' last beats, which are some seconds old, and those
// that it opened itself since. For the others it goes by what their routers announce. Until it has
// heard of them it assumes, for a few sessions, that they have as many clients as this one.

const (
	defaultSlack = 25 // percent
	// localMargin is how many sessions per worker don't count, so that an app with few sessions has
	// no relays.
	localMargin = 8
	// assumedMost is how many sessions per local worker a router opens on an assumption.
	assumedMost = 128
)

// shares is what a router knows about the sessions of an app at one state of the directory.
type shares struct {
	table *directory.Table
	local []*directory.Worker // ready, on this host
	// spare has the ready workers of hosts with less than their share, while a worker of another
	// host moves sessions away (ADR 0035): these are for them, whatever host they enter at. If no
	// host has, spare has those of all hosts that move none.
	spare   []*directory.Worker
	workers int // ready, on all hosts
	routers int // a host with a worker has one, too, even if its record isn't there yet

	// at the last beats
	clients, localClients int
	// opened by this router since, and not ended
	opened, localOpened atomic.Int64
}

// preferred returns the ready workers, without that one, that shall have the next session, and how
// many routers choose among them: the spare ones if there are some, else those of this host while
// they have room. It returns none if all workers may have the session.
func (b *balancer) preferred(not *worker) (some []*directory.Worker, routers int) {
	s := b.currentShares()
	some, routers = s.spare, s.routers
	if len(some) == 0 {
		if b.slack <= 0 || len(s.local) == 0 || len(s.local) == s.workers || !b.hasRoom(s) {
			return nil, 0
		}
		some, routers = s.local, 1 // the other routers have workers of their own
	}
	return without(some, not.is), routers
}

// hasRoom reports whether the workers of this host may have more sessions.
func (b *balancer) hasRoom(s *shares) bool {
	opened, localOpened := float64(s.opened.Load()), float64(s.localOpened.Load())
	local := float64(len(s.local))
	all := b.cfg.Directory.OpenedRatio() // sessions of the app for each of this router's
	if all == 0 {
		all = 1
		if localOpened <= assumedMost*local {
			all = float64(s.routers)
		}
	}
	mean := (float64(s.clients) + all*opened) / float64(s.workers)
	return (float64(s.localClients)+localOpened)/local <= (1+b.slack)*mean+localMargin
}

// currentShares returns the shares at the directory's current state.
func (b *balancer) currentShares() *shares {
	table := b.cfg.Directory.Workers()
	old := b.shares.Load()
	if old != nil && old.table == table {
		return old
	}
	s := &shares{table: table}
	var reached []*directory.Worker
	hosts := make(map[string]struct{})
	for _, record := range table.Ready() {
		if !b.reaches(record) {
			continue
		}
		reached = append(reached, record)
		l := b.workerOf(record).load(record, 1)
		opened := int64(l.clients - record.Clients)
		hosts[record.Host] = struct{}{}
		s.workers++
		s.clients += record.Clients
		s.opened.Add(opened)
		if l.here && record.Upstream == nil {
			s.local = append(s.local, record)
			s.localClients += record.Clients
			s.localOpened.Add(opened)
		}
	}
	s.routers = max(len(table.Routers()), len(hosts))
	s.spare = spare(reached, s.clients)
	b.shares.CompareAndSwap(old, s) // another request may have been faster
	return s
}

// spare returns the workers that shall have new sessions while some host moves sessions away: those
// of hosts with less than their share of all the clients, or else those of hosts that move none.
func spare(ready []*directory.Worker, clients int) (under []*directory.Worker) {
	if !slices.ContainsFunc(ready, func(w *directory.Worker) bool { return w.Moving }) {
		return nil
	}
	type host struct{ workers, clients int }
	hosts, moving := make(map[string]host), make(map[string]bool)
	for _, w := range ready {
		h := hosts[w.Host]
		hosts[w.Host] = host{h.workers + 1, h.clients + w.Clients}
		if w.Moving {
			moving[w.Host] = true
		}
	}
	var resting []*directory.Worker
	for _, w := range ready {
		if h := hosts[w.Host]; !moving[w.Host] {
			resting = append(resting, w)
			if h.clients*len(ready) < clients*h.workers {
				under = append(under, w)
			}
		}
	}
	if len(under) > 0 {
		return under
	}
	return resting
}

// opened counts a session that this router opens at w, or takes off one that did not come to be.
func (b *balancer) opened(w *worker, sessions int64) {
	w.opened.Add(sessions)
	if s := b.shares.Load(); s != nil {
		s.opened.Add(sessions)
		if w.up == nil && w.host == b.cfg.HostName {
			s.localOpened.Add(sessions)
		}
	}
	if sessions > 0 {
		b.cfg.Directory.Opened()
	}
}
