package inspect

import (
	"slices"
	"time"
)

// points are the last points, the oldest first once they are sorted out.
type points struct {
	ring []Point
	next int // where the next one goes once the ring is full
}

func (p *points) add(one Point) {
	if len(p.ring) < keptPoints {
		p.ring = append(p.ring, one)
		return
	}
	p.ring[p.next] = one
	p.next = (p.next + 1) % keptPoints
}

func (p *points) list() []Point { return slices.Concat(p.ring[p.next:], p.ring[:p.next]) }

// past is the last answer of a process.
type past struct {
	Sample
	missed int // answers since then
}

// remember adds a point for the time that ends at due.
func (h *Host) remember(due time.Time, samples []Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := map[string]Point{"": {}}
	seen := map[identity]bool{}
	for _, s := range samples {
		id := identityOf(&s.Process)
		seen[id] = true
		before := h.past[id]
		if h.silent[id] && before != nil && before.missed < mostMissed {
			before.missed++
			s.gauges(&before.Sample)
		} else {
			h.past[id] = &past{Sample: s}
		}
		p := s.since(before, due)
		now[""] = now[""].plus(p)
		if s.App != "" {
			now[s.App] = now[s.App].plus(p)
		}
	}
	for id := range h.past {
		if !seen[id] {
			delete(h.past, id)
		}
	}
	for app, p := range now {
		if h.history[app] == nil {
			h.history[app] = &points{}
		}
		p.At, p.Step = due, sampleEvery
		h.history[app].add(p)
	}
	for app, p := range h.history { // of an app that is gone
		if _, ok := now[app]; !ok && due.Sub(p.list()[len(p.ring)-1].At) > keptPoints*sampleEvery {
			delete(h.history, app)
		}
	}
}

// gauges takes over what a process had at its last answer.
func (s *Sample) gauges(last *Sample) {
	cpu, memory, at := s.CPU, s.Memory, s.At
	*s = *last
	s.CPU, s.Memory, s.At = cpu, memory, at
}

// since returns what a process did since the sample before, or since its start if there is none and
// it started in the time that ends at due.
func (s *Sample) since(before *past, due time.Time) Point {
	p := Point{Sessions: s.Sessions, Polling: s.Polling, Sockets: s.Sockets, Relayed: s.Relayed, Memory: s.Memory, Redis: s.RedisLatency}
	var from Sample
	switch {
	case before != nil:
		from = before.Sample
	case s.Started.Before(due.Add(-2 * sampleEvery)):
		return p // it has run for long: nobody knows what it did lately
	default:
		from.At = s.Started
	}
	seconds := s.At.Sub(from.At).Seconds()
	if seconds <= 0 {
		return p
	}
	rate := func(now, then uint64) float64 {
		if now < then {
			return 0
		}
		return float64(now-then) / seconds
	}
	p.EventsIn, p.EventsOut = rate(s.EventsIn, from.EventsIn), rate(s.EventsOut, from.EventsOut)
	p.BytesIn, p.BytesOut = rate(s.BytesIn, from.BytesIn), rate(s.BytesOut, from.BytesOut)
	p.Errors, p.Failures = rate(s.Errors, from.Errors), rate(s.Failures, from.Failures)
	p.CPU = max(0, (s.CPU-from.CPU).Seconds()/seconds)
	for i, n := range s.Latency {
		if n > from.Latency[i] {
			p.Latency[i] = n - from.Latency[i]
		}
	}
	return p
}
