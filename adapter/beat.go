package adapter

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
	Every      int64             `json:"every,omitempty"` // ms to the next one, when that is not beatEvery
	Asks       []string          `json:"asks,omitempty"`  // processes that are to beat soon
	Gone       bool              `json:"gone,omitempty"`  // goodbye
}

// capabilities tell peers what this process does beyond Node: it signs its answers to peers with its uid, and hears events
// that are for it alone where it hears answers.
var capabilities = []string{"signed-answers", "events-to-one"}

// describe is what this process says of itself.
func (p *peers) describe(all []*namespace) beat {
	b := beat{V: beatVersion, Process: p.process, Name: p.r.cfg.Name, Version: p.r.cfg.Version, Caps: capabilities,
		Namespaces: make(map[string]string, len(all))}
	if every := p.every(); every != beatEvery {
		b.Every = every.Milliseconds()
	}
	for _, n := range all {
		b.Namespaces[n.name] = n.uid
	}
	return b
}

// every is when the next beat is to come, unless the process ends.
func (b *beat) every() time.Duration {
	if b.Every <= 0 {
		return beatEvery
	}
	return min(max(time.Duration(b.Every)*time.Millisecond, beatEvery), longestBeat)
}

// ask has processes beat that owe an answer and have not beaten for a while, those first that have not for longest. One that
// beats often shows by itself whether it lives.
func (p *peers) ask(ctx context.Context, uids []string) {
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
		b := p.describe(p.r.namespaces())
		b.Asks = quiet
		p.say(ctx, b)
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
