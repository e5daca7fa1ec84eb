package router

import (
	"sync/atomic"

	"github.com/sidereal-io/sidereal/directory"
)

// A session whose worker is on the host where its client enters needs no hop: its WebSocket is
// passed, and its polls go through a Unix socket. So a router prefers the workers of its own host,
// as long as these don't have clearly more sessions than the app's workers have on average.
//
// A router knows the sessions at the workers' last beats, which are some seconds old, and those that
// it opened itself since. For the others it goes by what their routers announce. Until it has heard
// of them it assumes, for a few sessions, that they have as many clients as this one.

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
	table   *directory.Table
	local   []*directory.Worker // ready, on this host
	workers int                 // ready, on all hosts
	routers int                 // a host with a worker has one, too, even if its record isn't there yet

	// at the last beats
	clients, localClients int
	// opened by this router since, and not ended
	opened, localOpened atomic.Int64
}

// localReady returns the ready workers of this host, without that one, if they shall have the next
// session. It returns none if all workers may have it, or if all are on this host.
func (b *balancer) localReady(not *worker) []*directory.Worker {
	if b.slack <= 0 {
		return nil
	}
	s := b.currentShares()
	if len(s.local) == 0 || len(s.local) == s.workers || !b.hasRoom(s) {
		return nil
	}
	return without(s.local, not.is)
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
	hosts := make(map[string]struct{})
	for _, record := range table.Ready() {
		if !b.reaches(record) {
			continue
		}
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
	b.shares.CompareAndSwap(old, s) // another request may have been faster
	return s
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
