package link

// presence is which peers have a namespace, by uid, according to the heartbeats.
type presence struct {
	living, silent []string
	unsubscribed   []string // lived, but Redis didn't count them
	processes      int      // of ours besides this one that Redis should count, with the namespace or without
}

// presence returns which peers have a namespace.
func (p *peers) presence(namespace string) (who presence) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, peer := range p.known {
		if !peer.unsubscribed {
			who.processes++
		}
		switch uid, ok := peer.namespaces[namespace]; {
		case !ok, p.link.Config.Group.has([]byte(uid)):
		case peer.silent:
			who.silent = append(who.silent, uid)
		case peer.unsubscribed:
			who.unsubscribed = append(who.unsubscribed, uid)
		default:
			who.living = append(who.living, uid)
		}
	}
	return who
}

// noteUnsubscribed notes whether Redis counts the processes of uids as subscribers. A process that
// subscribes again beats at once.
func (p *peers) noteUnsubscribed(uids []string, unsubscribed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range uids {
		if process, ok := p.owner[uid]; ok {
			p.known[process].unsubscribed = unsubscribed
		}
	}
}

// forgetSilent forgets the silent processes of uids, which Redis no longer counts.
func (p *peers) forgetSilent(uids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, uid := range uids {
		if process, ok := p.owner[uid]; ok && p.known[process].silent {
			p.forgetLocked(process, nil)
		}
	}
}

// hasIn reports whether a living process has that uid in a namespace.
func (p *peers) hasIn(namespace, uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := p.known[p.owner[uid]]
	return peer != nil && !peer.silent && peer.namespaces[namespace] == uid && !p.link.Config.Group.has([]byte(uid))
}

// name returns the name of the process with the namespace uid.
func (p *peers) name(uid string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if process, ok := p.owner[uid]; ok {
		return p.known[process].name
	}
	return ""
}
