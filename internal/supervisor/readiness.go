package supervisor

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	probeInterval = 100 * time.Millisecond
	probeTimeout  = 2 * time.Second
)

// awaitReadiness settles how a process becomes ready that does not say so itself.
func (s *Supervisor) awaitReadiness(p *process) {
	r := p.spec.Readiness
	inReload := p.place.next == p
	if r.AtStart && !inReload {
		if r.AfterBeat {
			s.readyAfter(p, max(r.Settle, r.Timeout))
		} else {
			s.readyAfter(p, r.Settle)
		}
		return
	}
	if r.Probe != "" {
		s.probe(p, strings.ReplaceAll(r.Probe, "{port}", strconv.Itoa(p.port)))
	}
	if r.Timeout > 0 && p.place.renewal == nil {
		s.later(r.Timeout, func() {
			if s.running[p] && p.place.current == p && p.place.renewal == nil && !p.ready && !p.stopping {
				s.cfg.Log.Warn().Str("process", p.spec.Name).Stringer("after", r.Timeout).Msg("did not say that it is ready: taken as ready")
				s.becameReady(p)
			}
		})
	}
}

// beaten takes a beat.
func (s *Supervisor) beaten(p *process) {
	first := p.beat.Swap(time.Now().UnixNano()) == 0
	if first && p.spec.Readiness.AfterBeat && p.spec.Readiness.AtStart && p.place.next != p {
		s.readyAfter(p, p.spec.Readiness.Settle)
	}
}

// readyAfter has a process that says nothing count as ready, if it runs that long.
func (s *Supervisor) readyAfter(p *process, d time.Duration) {
	if d == 0 {
		s.becameReady(p)
		return
	}
	s.later(d, func() {
		if s.running[p] && !p.stopping {
			s.becameReady(p)
		}
	})
}

// probe asks a URL until it answers well.
func (s *Supervisor) probe(p *process, url string) {
	over := make(chan struct{})
	p.probing = over
	s.followers.Go(func() {
		client := http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
		tick := time.NewTicker(probeInterval)
		defer tick.Stop()
		for {
			if resp, err := client.Get(url); err == nil {
				resp.Body.Close()
				if resp.StatusCode < http.StatusBadRequest {
					s.post(func() {
						if s.running[p] {
							s.becameReady(p)
						}
					})
					return
				}
			}
			select {
			case <-tick.C:
			case <-over:
				return
			}
		}
	})
}

// endProbe lets the probe of a process go.
func (p *process) endProbe() {
	if p.probing != nil {
		close(p.probing)
		p.probing = nil
	}
}
