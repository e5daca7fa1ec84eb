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

// awaitReadiness arranges how a process becomes ready that doesn't say so itself.
func (p *process) awaitReadiness() {
	r := p.spec.Readiness
	if r.AtStart && !p.isSuccessor() {
		if r.AfterBeat {
			p.readyAfter(max(r.Settle, r.Timeout)) // unless the first beat comes before
		} else {
			p.readyAfter(r.Settle)
		}
		return
	}
	if r.Probe != "" {
		p.probe(strings.ReplaceAll(r.Probe, "{port}", strconv.Itoa(p.attachment.port)))
	}
	if r.Timeout > 0 && p.needsNoSign() {
		p.sup.loop.later(r.Timeout, func() {
			if p.runs() && (p.place.current == p || p.isSuccessor()) && p.needsNoSign() && !p.ready && !p.stopping {
				p.sup.cfg.Log.Warn("process didn't report that it's ready: treated as ready", "process", p.spec.Name, "after_ms", r.Timeout.Milliseconds())
				p.becameReady()
			}
		})
	}
}

// needsNoSign reports whether the process may count as ready without having said so. In a reload it
// may only if its predecessor never said so either.
func (p *process) needsNoSign() bool { return p.place.turn == nil || p.place.turn.signless }

// isSuccessor reports whether the process is to take over from another one, in a reload.
func (p *process) isSuccessor() bool { return p.place.next == p }

// beaten takes a beat that the agent reports.
func (p *process) beaten() {
	r := &p.spec.Readiness
	if first := p.pulse.beatByAgent(); first && r.AfterBeat && r.AtStart && !p.isSuccessor() {
		p.readyAfter(r.Settle)
	}
}

// readyAfter makes a process that says nothing ready if it runs for d.
func (p *process) readyAfter(d time.Duration) {
	if d == 0 {
		p.becameReady()
		return
	}
	p.sup.loop.later(d, func() {
		if p.runs() && !p.stopping {
			p.becameReady()
		}
	})
}

// probe asks a URL until it answers well.
func (p *process) probe(url string) {
	over := make(chan struct{})
	p.probing = over
	loop := p.sup.loop
	loop.followers.Go(func() {
		client := http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
		tick := time.NewTicker(probeInterval)
		defer tick.Stop()
		for {
			if resp, err := client.Get(url); err == nil {
				resp.Body.Close()
				if resp.StatusCode < http.StatusBadRequest {
					loop.post(func() {
						if p.runs() {
							p.saidReady()
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

// endProbe ends the probe of a process.
func (p *process) endProbe() {
	if p.probing != nil {
		close(p.probing)
		p.probing = nil
	}
}
