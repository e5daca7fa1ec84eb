package adapter

// attendance is who has a namespace, by uid, as far as the heartbeats say.
type attendance struct {
	living, silent []string
	deaf           []string // lived, but Redis did not count them
	processes      int      // of ours besides this one that Redis should count, with this namespace or without
}

// of tells who has a namespace.
func (p *peers) of(namespace string) (who attendance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.known {
		if !peer.deaf {
			who.processes++
		}
		switch uid, ok := peer.namespaces[namespace]; {
		case !ok, p.r.cfg.Group.has([]byte(uid)):
		case peer.silent:
			who.silent = append(who.silent, uid)
		case peer.deaf:
			who.deaf = append(who.deaf, uid)
		default:
			who.living = append(who.living, uid)
		}
	}
	return who
}

// noteDeaf notes of whom, given uids, Redis says that they do not listen, or do. Who does not beats as soon as it listens again.
func (p *peers) noteDeaf(uids []string, deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range uids {
		if process, ok := p.owner[uid]; ok {
			p.known[process].deaf = deaf
		}
	}
}

// forgetSilent forgets silent processes that Redis does not count any more, given uids of theirs.
func (p *peers) forgetSilent(uids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range uids {
		if process, ok := p.owner[uid]; ok && p.known[process].silent {
			p.dropLocked(process, nil)
		}
	}
}

// has tells whether uid is a namespace of a living process of ours.
func (p *peers) has(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	process, ok := p.owner[uid]
	return ok && !p.known[process].silent
}

// knows tells whether a living process has that uid in a namespace.
func (p *peers) knows(namespace, uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.known[p.owner[uid]]
	return peer != nil && !peer.silent && peer.namespaces[namespace] == uid && !p.r.cfg.Group.has([]byte(uid))
}

// name is what the process with the namespace uid calls itself.
func (p *peers) name(uid string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if process, ok := p.owner[uid]; ok {
		return p.known[process].name
	}
	return ""
}
