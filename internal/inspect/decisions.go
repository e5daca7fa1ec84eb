package inspect

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of a DecisionLog: requests by kind. Polls are many, and must not replace the handshakes
// and upgrades of others.
const (
	mostPolls    = 1024
	mostOpenings = 1024
	mostTurned   = 512 // away, by the router or a worker
	mostAsked    = 128 // bytes of a sid
)

// Decided is a Decision as the router makes it.
type Decided struct {
	At                  time.Time
	Took                time.Duration
	Method, Kind, SID   string
	Client              netip.AddrPort
	Source, Worker, Way string
	Why                 string
	Status, Tries       int
}

// DecisionLog keeps the last decisions of a router. It takes at most 500 KB, and allocates nothing
// once it is full. Its methods may be called concurrently.
type DecisionLog struct {
	polls, openings, turned decisions
}

// NewDecisionLog returns an empty log. It grows with its decisions.
func NewDecisionLog() *DecisionLog {
	return &DecisionLog{polls: decisions{most: mostPolls}, openings: decisions{most: mostOpenings}, turned: decisions{most: mostTurned}}
}

// Add keeps a decision.
func (l *DecisionLog) Add(d *Decided) {
	if len(d.SID) > mostAsked {
		one := *d
		one.SID = strings.Clone(d.SID[:mostAsked]) // and let go of the rest
		d = &one
	}
	switch {
	case d.Status >= 400:
		l.turned.add(d)
	case d.Kind == "poll" || d.Kind == "post":
		l.polls.add(d)
	case d.Kind != "app":
		l.openings.add(d)
	}
}

// Page returns the decisions of p that q selects, the newest first.
func (l *DecisionLog) Page(p Process, q Query) Page[Decision] {
	var page Page[Decision]
	for _, d := range slices.Concat(l.polls.all(), l.openings.all(), l.turned.all()) {
		client := ""
		if d.Client.IsValid() {
			client = netip.AddrPortFrom(d.Client.Addr().Unmap(), d.Client.Port()).String()
		}
		if !q.MatchesID(d.SID) || !q.MatchesAddress(client) || q.Worker != "" && q.Worker != d.Worker ||
			q.Text != "" && !strings.Contains(d.SID+"\n"+client, q.Text) {
			continue
		}
		page.Rows = append(page.Rows, Decision{
			Process: p, At: d.At, Method: d.Method, SID: ShownSID(d.SID), Client: client, Kind: d.Kind, Source: d.Source,
			Worker: d.Worker, Way: d.Way, Status: d.Status, Took: d.Took, Tries: d.Tries, Why: d.Why,
		})
	}
	return newestFirst(q, page, func(d Decision) time.Time { return d.At })
}

// decisions is a ring.
type decisions struct {
	most int

	mu   sync.Mutex
	list []Decided
	next int // to be replaced, once the list is full
}

func (r *decisions) add(d *Decided) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) < r.most {
		r.list = append(r.list, *d)
		return
	}
	r.list[r.next] = *d
	r.next = (r.next + 1) % r.most
}

func (r *decisions) all() []Decided {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.list[r.next:], r.list[:r.next])
}
