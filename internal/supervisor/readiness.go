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

// readiness is how a process becomes ready, from its start on. Its fields belong to the loop.
type readiness struct {
	p       *process
	ready   bool
	signed  bool          // it, or its agent, has said that it is ready, or its probe has answered
	settles bool          // it has loaded its code, and is ready after Settle
	probing chan struct{} // closed to end the probe; nil: none
}

// await arranges how a process becomes ready that doesn't say so itself.
func (r *readiness) await() {
	p, rule := r.p, r.p.spec.Readiness
	if rule.AtStart && !p.isSuccessor() {
		if rule.AfterLoad {
			r.after(max(rule.Settle, rule.Timeout)) // unless it has loaded before
		} else {
			r.after(rule.Settle)
		}
		return
	}
	if rule.Probe != "" {
		r.probe(strings.ReplaceAll(rule.Probe, "{port}", strconv.Itoa(p.attachment.port)))
	}
	if rule.Timeout > 0 && r.needsNoSign() {
		p.sup.loop.later(rule.Timeout, func() {
			if p.runs() && (p.place.current == p || p.isSuccessor()) && r.needsNoSign() && !r.ready && !p.departure.stopping {
				p.sup.cfg.Log.Warn("process didn't report that it's ready: treated as ready", "process", p.spec.Name, "after_ms", rule.Timeout.Milliseconds())
				r.reach()
			}
		})
	}
}

// needsNoSign reports whether the process may count as ready without having said so. In a reload it
// may only if its predecessor never said so either.
func (r *readiness) needsNoSign() bool {
	turn := r.p.place.turn
	return turn == nil || turn.signless
}

// isSuccessor reports whether the process is to take over from another one, in a reload.
func (p *process) isSuccessor() bool { return p.place.next == p }

// loaded takes the agent's report that the process has run its code.
func (r *readiness) loaded() {
	rule := &r.p.spec.Readiness
	if first := !r.settles; first && rule.AfterLoad && rule.AtStart && !r.p.isSuccessor() {
		r.settles = true
		r.after(rule.Settle)
	}
}

// after makes a process that says nothing ready if it runs for d.
func (r *readiness) after(d time.Duration) {
	p := r.p
	if d == 0 {
		r.reach()
		return
	}
	p.sup.loop.later(d, func() {
		if p.runs() && !p.departure.stopping {
			r.reach()
		}
	})
}

// sign takes a sign that the process is ready.
func (r *readiness) sign() {
	r.signed = true
	r.reach()
}

// reach takes the process as ready, with or without a sign.
func (r *readiness) reach() {
	if r.ready {
		return
	}
	r.ready = true
	r.endProbe()
	p, s := r.p, r.p.sup
	p.place.served = true
	s.cfg.Log.Debug("process ready", "process", p.spec.Name, "pid", p.pid(), "took_ms", time.Since(p.started).Milliseconds())
	for _, pl := range s.places {
		pl.agentReady(p.spec.Name)
	}
	s.startDue()
	if t := p.place.turn; t != nil {
		t.ready(p)
	}
}

// probe asks a URL until it answers well.
func (r *readiness) probe(url string) {
	over, p := make(chan struct{}), r.p
	r.probing = over
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
							r.sign()
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
func (r *readiness) endProbe() {
	if r.probing != nil {
		close(r.probing)
		r.probing = nil
	}
}
