package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	maxTries     = 10          // wrong keys of an address within tryWindow
	tryWindow    = time.Minute // after which it may try again
	maxAddresses = 1024        // with a wrong key within tryWindow, remembered
)

// guard knows the key, and who has shown wrong ones.
type guard struct {
	keyed bool
	sum   [sha256.Size]byte // of the key
	now   func() time.Time

	mu    sync.Mutex // guards tries
	tries map[netip.Addr]*attempts
}

// attempts are the wrong keys of one address.
type attempts struct {
	wrong int
	since time.Time
}

func newGuard(key string, now func() time.Time) *guard {
	return &guard{keyed: key != "", sum: sha256.Sum256([]byte(key)), now: now, tries: map[netip.Addr]*attempts{}}
}

// refusal is why a request may not act.
type refusal struct {
	status int
	text   string
}

// check returns nil if the request may act. Browsers let a page of another origin send neither the
// header Authorization nor application/json without asking first, and nobody here says yes; the
// headers Sec-Fetch-Site and Origin are one more barrier.
func (g *guard) check(r *http.Request) *refusal {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return &refusal{http.StatusForbidden, "a page of another origin can't act"}
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return &refusal{http.StatusUnsupportedMediaType, "an action is application/json"}
	}
	if !g.keyed {
		return &refusal{http.StatusForbidden, "this dashboard is read-only: set SIDEREAL_ADMIN_KEY"}
	}
	from := addressOf(r)
	if !g.mayTry(from) {
		return &refusal{http.StatusTooManyRequests, "too many wrong keys from this address: try again in a minute"}
	}
	scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(shown))
	if right := subtle.ConstantTimeCompare(sum[:], g.sum[:]) == 1; !right || !strings.EqualFold(scheme, "bearer") {
		g.failed(from)
		return &refusal{http.StatusUnauthorized, "the key is wrong"}
	}
	return nil
}

// mayTry reports whether an address may show a key.
func (g *guard) mayTry(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.tries[from]
	return a == nil || a.wrong < maxTries || g.now().Sub(a.since) >= tryWindow
}

// failed counts a wrong key.
func (g *guard) failed(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	a := g.tries[from]
	if a == nil || now.Sub(a.since) >= tryWindow {
		if a == nil && len(g.tries) >= maxAddresses {
			g.forget(now)
		}
		a = &attempts{since: now}
		g.tries[from] = a
	}
	a.wrong++
}

// forget makes room: first for those who may try again, else for anyone.
func (g *guard) forget(now time.Time) {
	for addr, a := range g.tries {
		if now.Sub(a.since) >= tryWindow {
			delete(g.tries, addr)
		}
	}
	for addr := range g.tries {
		if len(g.tries) < maxAddresses {
			return
		}
		delete(g.tries, addr)
	}
}

// addressOf is the address that a request came from; IPv6 as its network of 64 bits, which one
// caller may have as a whole. It's invalid for a unix socket.
func addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if addr = addr.Unmap(); addr.Is6() {
		p, _ := addr.WithZone("").Prefix(64) // fits every address of IPv6
		return p.Addr()
	}
	return addr
}
