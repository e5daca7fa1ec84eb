package router

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxRetryAfter is the longest that a client turned away is asked to stay away, in seconds. Each is
// told a random number from 1 on, so that they don't come back together.
const maxRetryAfter = 5

// limit is why a request was turned away.
type limit uint8

const (
	unlimited     limit = iota
	byInFlight          // handshakes that the workers have not answered yet
	byRate              // handshakes of a second, by worker
	byAddress           // handshakes of a second, by client address
	byConnections       // connections of this router
	byRequests          // requests that the worker has not answered yet
	byTLS               // TLS handshakes of a second
	byDescriptors       // file descriptors of this process
)

func (l limit) String() string {
	return [...]string{"none", "in_flight", "rate", "address", "connections", "requests", "tls", "descriptors"}[l]
}

// gate lets as many handshakes to a worker as it can take. It is part of a worker.
type gate struct {
	inFlight atomic.Int64
	pace     pace         // of a second
	stalled  atomic.Int64 // Unix nanoseconds when a handshake had no answer in time
}

// enter takes a place in flight and in the second; leave gives the former back.
func (g *gate) enter(cfg *Config, now int64) limit {
	if g.inFlight.Add(1) > int64(cfg.HandshakesInFlight) {
		g.inFlight.Add(-1)
		return byInFlight
	}
	if !g.pace.take(cfg.HandshakeRate, now) {
		g.inFlight.Add(-1)
		return byRate
	}
	return unlimited
}

// pace lets so many pass in each second: GCRA. It is the Unix nanoseconds when all that came would
// have come at the rate.
type pace struct{ full atomic.Int64 }

// take takes a place in the second that ends now. It returns false if there is none.
func (p *pace) take(perSecond int, now int64) bool {
	gap := int64(time.Second) / int64(perSecond)
	for {
		full := p.full.Load()
		next := max(full, now) + gap
		if next-now > int64(time.Second) {
			return false
		}
		if p.full.CompareAndSwap(full, next) {
			return true
		}
	}
}

func (g *gate) leave() { g.inFlight.Add(-1) }

// busy reports whether the worker has as many requests as it may have. It gets more only if they
// were moved from another worker.
func (w *worker) busy() bool {
	most := w.r.cfg.RequestsInFlight
	return most > 0 && w.requests.Load() >= int64(most)
}

// avoided reports whether the worker did not answer a handshake a moment ago.
func (g *gate) avoided(now int64) bool { return now-g.stalled.Load() < int64(silence) }

// maxAddresses bounds what addresses remembers. Beyond it new ones are let in: the workers' own
// limits hold.
const maxAddresses = 1 << 16

// addresses counts handshakes by client address: IPv6 ones by their /64, which is what one client
// has.
type addresses struct {
	mu     sync.Mutex
	second int64
	counts map[netip.Addr]int
}

// enter counts one of a second in Unix time; false: the address has had its most.
func (a *addresses) enter(addr netip.Addr, most int, second int64) bool {
	if addr = addr.Unmap(); addr.Is6() {
		p, _ := addr.WithZone("").Prefix(64)
		addr = p.Addr()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = make(map[netip.Addr]int)
	}
	if a.second != second {
		a.second = second
		clear(a.counts)
	}
	n, known := a.counts[addr]
	if n >= most {
		return false
	}
	if known || len(a.counts) < maxAddresses {
		a.counts[addr] = n + 1
	}
	return true
}

// turnAway answers what a limit forbids. A connection that can go on does: making a new one would
// cost both sides more than the answer.
func (x *exchange) turnAway(l limit) bool {
	c := x.c
	c.Take()
	c.r.metrics.turnedAway(l)
	x.record.status, x.record.reason = 503, l.String()
	x.close = x.close || x.req.minor == 0 || x.req.head.Upgrade || x.req.hasBody() || x.head == 0
	answer := awayAnswers[rand.IntN(maxRetryAfter)][b2i(x.close)]
	if x.req.isHead {
		answer = answer[:len(answer)-len(awayBody)]
	}
	if _, err := c.Write(answer); err != nil {
		return false
	}
	if x.close {
		c.linger()
		return false
	}
	c.Discard(x.head)
	return true
}

// turnOut ends a connection that is one too many. Its kernel buffer is empty, so the answer does
// not wait.
func (r *Router) turnOut(nc net.Conn, l limit) {
	r.metrics.limited[l].Inc()
	if r.cfg.Certificates == nil {
		_, _ = nc.Write(awayAnswers[rand.IntN(maxRetryAfter)][1])
	}
	nc.Close()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

const awayBody = "too many at once, try again soon\n"

// awayAnswers are turnAway's, made once: by seconds to wait, and whether the connection ends.
var awayAnswers = func() (all [maxRetryAfter][2][]byte) {
	const head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nRetry-After: "
	rest := "\r\nContent-Length: " + strconv.Itoa(len(awayBody)) + "\r\n\r\n" + awayBody
	for i := range all {
		seconds := string(rune('1' + i))
		all[i][0] = []byte(head + seconds + rest)
		all[i][1] = []byte(head + seconds + "\r\nConnection: close" + rest)
	}
	return all
}()
