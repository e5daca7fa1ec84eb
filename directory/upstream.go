package directory

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

// Upstream is a server that knows nothing of Sidereal. The table has it as a [Worker]. The router
// tells it how requests end. Its methods may be called concurrently.
type Upstream struct {
	// TLS configures the connections to it. Nil means plain text. The caller must not change it.
	TLS *tls.Config

	owner  *Upstreams
	id     string
	name   string // of its entry, with the port
	addr   string
	host   string // of its entry
	slot   int
	broken atomic.Int32  // requests in a row without a good answer
	look   chan struct{} // check now
	client *http.Client

	sessions sessioncount.Counter

	// Guarded by owner.mu.
	health  health
	listed  bool
	told    State // as last logged
	clients int
	beat    uint64
	forget  context.CancelFunc
}

func (u *Upstreams) newUpstream(l listing, a netip.Addr) *Upstream {
	b := &Upstream{owner: u, id: l.id(a), name: l.String(), addr: l.addr(a), host: l.host, look: make(chan struct{}, 1)}
	if l.scheme == "https" {
		b.TLS = &tls.Config{
			ServerName: l.host, RootCAs: u.cfg.RootCAs, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
		}
	}
	b.client = &http.Client{
		Timeout: min(u.cfg.Interval, checkTimeout),
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, b.addr)
			},
			TLSClientConfig: b.TLS, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return b
}

// Answered notes how a request to the upstream ended: ok, or without an answer. Five failures in a
// row eject the upstream for a while, if enough others remain.
func (b *Upstream) Answered(ok bool) {
	if ok {
		if b.broken.Load() != 0 { // rarely: reading is cheaper than a write that all cores share
			b.broken.Store(0)
		}
		return
	}
	if b.broken.Add(1) >= maxBroken {
		b.owner.eject(b)
	}
}

// Opened notes that the upstream has opened a session by polling, and how long its client may be
// silent.
func (b *Upstream) Opened(sid string, silence time.Duration) { b.sessions.Opened(sid, silence) }

// Used notes that the upstream has answered a session's request with 200.
func (b *Upstream) Used(sid string) { b.sessions.Used(sid) }

// Closed notes that a close packet has ended a session.
func (b *Upstream) Closed(sid string) { b.sessions.Closed(sid) }

// Ended notes that a session has no polling client any more.
func (b *Upstream) Ended(sid string) { b.sessions.Ended(sid) }

// Connected notes a WebSocket that the router relays to the upstream, of the session with that sid or
// opening one. The caller passes the result to Disconnected when the WebSocket ends.
func (b *Upstream) Connected(sid string) (counted string) { return b.sessions.Connected(sid) }

// Disconnected notes the end of a WebSocket, and of its session.
func (b *Upstream) Disconnected(counted string) { b.sessions.Disconnected(counted) }

// probe checks an upstream. An Engine.IO server answers a request that names no transport with 400
// and opens no session. So without a path from the operator, any status below 500 is good.
func probe(ctx context.Context, b *Upstream) verdict {
	path := b.owner.cfg.Check
	if path == "" {
		path = b.owner.cfg.Path
	}
	req, err := http.NewRequestWithContext(ctx, "GET", b.name+path, nil)
	if err != nil {
		return bad // never: both were checked
	}
	req.Header.Set("User-Agent", "sidereal")
	resp, err := b.client.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return refused
		}
		return bad
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // only so that the connection can be used again
	if resp.StatusCode >= 500 || b.owner.cfg.Check != "" && resp.StatusCode >= 400 {
		return bad
	}
	return good
}

// validCheckPath reports whether a request may have this path.
func validCheckPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })
}

// checkTimeout limits a check, unless the interval is shorter.
const checkTimeout = 2 * time.Second
