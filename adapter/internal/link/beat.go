package link

import (
	"context"
	"slices"
	"time"
)

// beat is what a process says of itself on sidereal-peers:KEY, a channel that no pattern of Node's matches.
type beat struct {
	V          int               `json:"v"`
	Process    string            `json:"process"`
	Name       string            `json:"name,omitempty"` // for people
	Version    string            `json:"version"`
	Caps       []string          `json:"caps"`
	Namespaces map[string]string `json:"nsps"`            // name to uid
	Every      int64             `json:"every,omitempty"` // ms to the next beat, unless that is beatEvery
	Asks       []string          `json:"asks,omitempty"`  // processes that should beat soon
	Gone       bool              `json:"gone,omitempty"`  // goodbye
}

// capabilities tell peers what this process does beyond Node: it signs its answers to servers of
// ours with its uid, and its answer channels also take events for it alone.
var capabilities = []string{"signed-answers", "events-to-one"}

// describe makes a beat of this process.
func (p *peers) describe(all []*Namespace) beat {
	b := beat{V: beatVersion, Process: p.process, Name: p.link.Config.Name, Version: p.link.Config.Version, Caps: capabilities,
		Namespaces: make(map[string]string, len(all))}
	if every := p.every(); every != beatEvery {
		b.Every = every.Milliseconds()
	}
	for _, n := range all {
		if p.link.Config.AskOnly {
			break
		}
		b.Namespaces[n.Name] = n.UID
	}
	return b
}

// every is when the next beat should come, unless the process ends.
func (b *beat) every() time.Duration {
	if b.Every <= 0 {
		return beatEvery
	}
	return min(max(time.Duration(b.Every)*time.Millisecond, beatEvery), longestBeat)
}

// requestBeats asks processes that owe an answer for a beat, if they haven't beaten for a while:
// those first whose last beat is the oldest. A process that beats often shows by itself whether it
// lives.
func (p *peers) requestBeats(ctx context.Context, uids []string) {
	p.mu.Lock()
	var quiet []string
	for _, uid := range uids {
		process := p.owner[uid]
		known := p.known[process]
		if known != nil && !known.silent && known.asked.IsZero() && known.every > beatEvery && time.Since(known.heard) > beatEvery {
			quiet = append(quiet, process)
		}
	}
	slices.SortFunc(quiet, func(a, b string) int { return p.known[a].heard.Compare(p.known[b].heard) })
	quiet = quiet[:min(len(quiet), askedAtOnce)]
	p.askedLocked(quiet)
	p.mu.Unlock()
	if len(quiet) > 0 {
		b := p.describe(p.link.namespaces.all())
		b.Asks = quiet
		p.publish(ctx, b)
	}
}

// askedLocked notes that processes were asked for a beat.
func (p *peers) askedLocked(processes []string) {
	for _, process := range processes {
		if known := p.known[process]; known != nil && known.asked.IsZero() {
			known.asked = time.Now()
		}
	}
}
