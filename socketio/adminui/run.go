package adminui

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
)

// Events between instrumented servers of ours, raised in the UI's namespace. Node's servers ignore
// them.
const (
	eventWatch   = "sidereal:watch"   // an admin is connected to the server that raises it
	eventSockets = "sidereal:sockets" // asks for the sockets that the other server shows
)

const (
	statsEvery  = 2 * time.Second  // server_stats, as Node's servers have it
	renewEvery  = 5 * time.Second  // eventWatch
	leaseLife   = 15 * time.Second // of an eventWatch
	searchEvery = 10 * time.Second // for admins at Node's servers, which raise no eventWatch
	askTimeout  = 3 * time.Second
	askAtOnce   = 16 // servers
)

// lease is the time until which an admin of another server watches, in nanoseconds since 1970.
type lease struct{ until atomic.Int64 }

func (l *lease) renew()     { l.until.Store(time.Now().Add(leaseLife).UnixNano()) }
func (l *lease) held() bool { return time.Now().UnixNano() < l.until.Load() }

// watched reports whether an admin is connected anywhere.
func (u *ui) watched() bool { return u.present.Load() > 0 || u.lease.held() }

// answerServers adds what other servers of ours ask.
func (u *ui) answerServers() {
	u.admins.OnServer(eventWatch, func() {
		u.lease.renew()
		u.rouse()
	})
	u.admins.OnServer(eventSockets, func(ctx context.Context) []view {
		u.lease.renew()
		u.rouse()
		select {
		case <-u.opened():
			return u.feed.snapshot(ctx)
		case <-ctx.Done():
			return nil
		}
	})
}

// follow sets the mark of a namespace's sockets, and tells admins of them.
func (u *ui) follow(n *socketio.Namespace) {
	n.Share(markKey)
	set := func(s *socketio.Socket) {
		sid := s.SID()
		if err := markKey.Set(s, mark{sid[:min(len(sid), clientIDLength)], s.Transport(), true}); err != nil {
			quietly.Warn(u.log, "admin UI: socket has no room for its transport", "socket", s.ID(), "error", err)
		}
	}
	n.OnConnect(func(s *socketio.Socket) {
		set(s)
		u.feed.connected(s.Context(), n, s.ID())
	})
	n.OnUpgrade(func(s *socketio.Socket) {
		set(s)
		u.feed.updated(s)
	})
	n.OnDisconnect(func(s *socketio.Socket, reason string) { u.feed.disconnected(n, s.ID(), reason) })
	u.feed.listen(n)
}

// run waits for admins and tells them what happens, until ctx ends.
func (u *ui) run(ctx context.Context) {
	search := time.NewTicker(searchEvery)
	defer search.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.wake:
		case <-search.C:
			u.search(ctx)
		}
		if u.watched() {
			u.watch(ctx)
		}
	}
}

// search looks for admins at Node's servers, if there are any servers of Node's.
func (u *ui) search(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if u.foreign(ctx) {
		if list, _ := u.admins.FetchSockets(ctx); len(list) > 0 { // those who answered are enough
			u.lease.renew()
		}
	}
}

// foreign reports whether servers of Node's have the UI's namespace.
func (u *ui) foreign(ctx context.Context) bool {
	n, err := u.admins.ServerCount(ctx)
	return err == nil && n > len(u.admins.Peers())+1
}

// watch tells admins what happens until none is left anywhere.
func (u *ui) watch(ctx context.Context) {
	if !u.cfg.Production {
		namespaces := slices.Collect(u.io.Namespaces())
		u.feed.open(max(MaxSockets/(len(u.admins.Peers())+1), 1), namespaces)
	}
	u.setOpen(true)
	defer func() {
		u.setOpen(false)
		u.feed.close()
	}()
	u.renew()
	counts := newCounts(u.io.Engine().Stats())
	u.report(counts)
	stats, second, renew, search := time.NewTicker(statsEvery), time.NewTicker(time.Second), time.NewTicker(renewEvery), time.NewTicker(searchEvery)
	defer stats.Stop()
	defer second.Stop()
	defer renew.Stop()
	defer search.Stop()
	for u.watched() {
		select {
		case <-ctx.Done():
			return
		case m := <-u.feed.queue:
			u.send(m)
		case now := <-second.C:
			counts.add(now, u.io.Engine().Stats())
		case <-stats.C:
			u.report(counts)
			u.feed.compare(ctx)
		case <-renew.C:
			u.renew()
		case <-search.C:
			u.search(ctx)
		case <-u.wake:
			u.renew()
		}
	}
}

// renew tells the other servers that an admin is connected here.
func (u *ui) renew() {
	if u.present.Load() > 0 {
		if err := u.admins.ServerSideEmit(eventWatch); err != nil {
			quietly.Warn(u.log, "admin UI: other servers don't know that an admin is here", "error", err)
		}
	}
}

func (u *ui) send(m message) {
	if err := u.admins.Emit(m.event, m.args...); err != nil {
		quietly.Warn(u.log, "admin UI: message isn't sent", "event", m.event, "error", err)
	}
}

// stats are a server_stats.
type stats struct {
	ServerID string           `json:"serverId"`
	Hostname string           `json:"hostname"`
	PID      int              `json:"pid"`
	Uptime   float64          `json:"uptime"` // in seconds
	Clients  int              `json:"clientsCount"`
	Polling  int              `json:"pollingClientsCount"`
	Counts   []aggregate      `json:"aggregatedEvents"`
	Spaces   []namespaceStats `json:"namespaces"`
}

type namespaceStats struct {
	Name    string `json:"name"`
	Sockets int    `json:"socketsCount"`
}

// report sends a server_stats. Its hostname says how much isn't shown: the UI has no other place.
func (u *ui) report(c *counts) {
	now := u.io.Engine().Stats()
	s := stats{
		ServerID: u.cfg.ServerID, Hostname: u.host, PID: os.Getpid(), Uptime: time.Since(started).Seconds(),
		Clients: now.Sessions, Polling: now.Polling, Counts: c.take(), Spaces: []namespaceStats{},
	}
	sockets := 0
	for n := range u.io.Namespaces() {
		count := 0
		for range n.Sockets() {
			count++
		}
		sockets += count
		s.Spaces = append(s.Spaces, namespaceStats{n.Name(), count})
	}
	if !u.cfg.Production {
		if shown := u.feed.size(); shown < sockets {
			s.Hostname += fmt.Sprintf(" (shows %d of %d sockets)", shown, sockets)
		}
		if left := u.feed.left.Swap(0); left > 0 {
			s.Hostname += fmt.Sprintf(" (left out %d messages)", left)
		}
	}
	u.send(message{"server_stats", []any{s}})
}

var started = time.Now()

// aggregate is one count of one second.
type aggregate struct {
	Timestamp int64  `json:"timestamp"` // in milliseconds since 1970
	Type      string `json:"type"`
	SubType   string `json:"subType,omitempty"`
	Count     uint64 `json:"count"`
}

// counts collects what a server's Stats say of each second.
type counts struct {
	last engineio.Stats
	list []aggregate
}

func newCounts(now engineio.Stats) *counts { return &counts{last: now, list: []aggregate{}} }

// maxCounts limits the counts of seconds that wait for a report.
const maxCounts = 200

func (c *counts) add(at time.Time, now engineio.Stats) {
	note := func(kind, sub string, before, after uint64) {
		if after > before && len(c.list) < maxCounts {
			c.list = append(c.list, aggregate{at.Truncate(time.Second).UnixMilli(), kind, sub, after - before})
		}
	}
	note("rawConnection", "", c.last.Opened, now.Opened)
	note("packetsIn", "", c.last.Received.Messages, now.Received.Messages)
	note("bytesIn", "", c.last.Received.Bytes, now.Received.Bytes)
	note("packetsOut", "", c.last.Sent.Messages, now.Sent.Messages)
	note("bytesOut", "", c.last.Sent.Bytes, now.Sent.Bytes)
	for reason, n := range now.Closed {
		note("rawDisconnection", reason, c.last.Closed[reason], n)
	}
	c.last = now
}

func (c *counts) take() []aggregate {
	list := c.list
	c.list = []aggregate{}
	return list
}

// everywhere describes the sockets that all servers show.
func (u *ui) everywhere(ctx context.Context) []view {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var mu sync.Mutex
	list := []view{}
	add := func(more []view) {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, more[:min(len(more), MaxSockets-len(list))]...)
	}
	select {
	case <-u.opened():
		add(u.feed.snapshot(ctx))
	case <-ctx.Done():
		return list
	}
	var asking sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for _, peer := range u.admins.Peers() {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			answer, err := u.admins.ServerSideEmitToWithAck(ctx, peer.ID, eventSockets)
			var more []view
			if err == nil {
				err = answer.Decode(0, &more)
			}
			if err != nil {
				quietly.Warn(u.log, "admin UI: a server doesn't say which sockets it has", "server", peer.Name, "error", err)
			}
			add(more)
		})
	}
	asking.Wait()
	if u.foreign(ctx) {
		add(u.ofNode(ctx))
	}
	return list
}

// ofNode describes the sockets of Node's servers.
func (u *ui) ofNode(ctx context.Context) (list []view) {
	for n := range u.io.Namespaces() {
		sockets, err := n.FetchSockets(ctx)
		if err != nil {
			quietly.Warn(u.log, "admin UI: not all servers say which sockets they have", "namespace", n.Name(), "error", err)
		}
		for _, s := range sockets {
			if m, _ := markKey.Get(s); !m.Ours && len(list) < MaxSockets {
				list = append(list, newView(n, s))
			}
		}
	}
	return list
}

// opened is closed while watch runs.
func (u *ui) opened() <-chan struct{} {
	u.openMu.Lock()
	defer u.openMu.Unlock()
	return u.open
}

func (u *ui) setOpen(open bool) {
	u.openMu.Lock()
	defer u.openMu.Unlock()
	if open {
		close(u.open)
	} else {
		u.open = make(chan struct{})
	}
}
