package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

const (
	dialTimeout = 2 * time.Second
	// openTimeout bounds how long a request waits for a worker that does not take connections.
	openTimeout = time.Second
	maxIdle     = 512 // connections kept to one worker
	// unknownIdle is how long a connection to a server is kept that we know nothing of: Node's closes it after 5 s, and a
	// request that is sent at that moment is lost.
	unknownIdle = 3 * time.Second
	// silence is how long a worker that did not answer is not asked again: requests would queue up behind the asking.
	silence = 500 * time.Millisecond
	// closing is how long after its host's door a worker may still be known as ready: its own end is announced when no
	// connection comes in any more.
	closing = 100 * time.Millisecond
)

var (
	// errGone reports a worker that is dead, as its host's sockets tell.
	errGone = errors.New("router: worker is gone")
	// errBusy reports a worker that lives but takes nothing new at the moment.
	errBusy = errors.New("router: worker does not answer")
	// errShut reports a worker that drains behind a door that is closed already: it lives, but nobody new gets to it.
	errShut = errors.New("router: worker's host is closing")
)

// backend is one incarnation of a worker: how it is reached, the connections kept to it, and what balancing knows.
type backend struct {
	r  *Router
	id string
	up *directory.Upstream // not nil: listed by hand, and knows nothing of routers

	mu      sync.Mutex // guards the rest
	addr    string
	host    string
	sender  *handoff.Sender // nil: not on this host, or not yet asked
	away    bool            // known to be on another host
	here    bool            // was once reached on this host
	dialing chan struct{}   // closed when the dial under way has ended
	asking  *asking         // nil: nobody asks whether it lives
	idle    []*upstream     // the last is the most recently used
	seen    time.Time       // last used
	silent  time.Time       // when its handoff socket last did not answer

	beat     atomic.Uint64 // the beat that opened counts from
	opened   atomic.Int64  // sessions opened by this router since
	keys     atomic.Uint32 // how often the door refused one: which of our secrets it is shown
	gate     gate
	requests atomic.Int64 // under way
}

// upstream is a connection to a worker that speaks HTTP.
type upstream struct {
	netio.Stream
	b      *backend
	named  bool // requests say which worker is meant
	greet  bool // the first one has to show the key
	reused bool
	doored bool             // the door does not give it away: it goes on speaking between us and the worker
	since  time.Time        // idle since
	fd     syscall.RawConn  // below TLS; nil: it has none
	peek   func(fd uintptr) // onPeek, made once
	peeked [1]byte
	opened bool // counted among the router's descriptors
	silent bool // what onPeek found: neither bytes nor the end
}

// backendOf returns the backend of a worker's record.
func (r *Router) backendOf(w *directory.Worker) *backend {
	for {
		old, ok := r.backends.Load(w.ID)
		if ok && old.(*backend).up == w.Upstream {
			return old.(*backend)
		}
		b := &backend{r: r, id: w.ID, up: w.Upstream, addr: w.Addr, host: w.Host, away: w.Upstream != nil, seen: time.Now()}
		if !ok {
			if now, loaded := r.backends.LoadOrStore(w.ID, b); loaded {
				return now.(*backend)
			}
			return b
		}
		if r.backends.CompareAndSwap(w.ID, old, b) { // it was forgotten and is listed again
			old.(*backend).close()
			return b
		}
	}
}

// load is the worker's load as this router knows it, being one of so many.
func (b *backend) load(w *directory.Worker, routers int) load {
	if old := b.beat.Load(); old != w.Beat && b.beat.CompareAndSwap(old, w.Beat) {
		b.opened.Store(0) // the record counts them from now on
	}
	return load{clients: w.Clients + routers*int(max(b.opened.Load(), 0)), here: w.Host == b.r.cfg.HostName}
}

// get returns a connection to the worker: one that is idle, unless fresh is asked for, or a new one.
func (b *backend) get(ctx context.Context, fresh bool) (*upstream, error) {
	for !fresh {
		u := b.takeIdle()
		if u == nil {
			break
		}
		if u.alive() {
			u.reused = true
			return u, nil
		}
		u.close()
	}
	return b.dial(ctx)
}

func (b *backend) takeIdle() *upstream {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.idle)
	if n == 0 {
		return nil
	}
	u := b.idle[n-1]
	b.idle[n-1], b.idle = nil, b.idle[:n-1]
	return u
}

// put keeps a connection for the next request.
func (b *backend) put(u *upstream) {
	u.Release()
	u.Expect(0)
	u.since = time.Now()
	b.mu.Lock()
	keep := len(b.idle) < maxIdle && !b.r.stopped.Load()
	if keep {
		b.seen = u.since
		b.idle = append(b.idle, u)
	}
	b.mu.Unlock()
	if !keep {
		u.close()
	}
}

// alive finds out whether an idle connection is silent. One that the worker has closed would lose
// the request, and what a worker said without being asked would be taken for the next client's
// answer.
func (u *upstream) alive() bool {
	if u.fd == nil {
		return true
	}
	u.silent = false
	return u.fd.Control(u.peek) == nil && u.silent && (u.SyscallConn() != nil || u.heardAll())
}

func (u *upstream) onPeek(fd uintptr) {
	_, _, err := syscall.Recvfrom(int(fd), u.peeked[:], syscall.MSG_PEEK) // the descriptor does not block
	u.silent = err == syscall.EAGAIN
}

// heardAll tells whether TLS, which reads ahead, has nothing left of what it read. It reads nothing
// from the socket.
func (u *upstream) heardAll() bool {
	u.Conn.SetReadDeadline(past)
	n, err := u.Conn.Read(u.peeked[:])
	u.Conn.SetReadDeadline(time.Time{})
	return n == 0 && isTimeout(err)
}

func (u *upstream) close() {
	u.Drop()
	u.Conn.Close()
	if u.opened {
		u.opened = false
		u.b.r.room.open.Add(-1)
	}
}

// counted counts u among the router's descriptors until it is closed.
func (u *upstream) counted() *upstream {
	u.opened = true
	u.b.r.room.open.Add(1)
	return u
}

// dial makes a new connection to the worker.
func (b *backend) dial(ctx context.Context) (*upstream, error) {
	s, err := b.link(ctx)
	if err != nil {
		return nil, err
	}
	u := &upstream{b: b}
	u.peek = u.onPeek
	if s != nil {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		c, err := s.Open(ctx)
		if err != nil {
			return nil, b.sendError(ctx, s, err)
		}
		u.Init(c, writeTimeout)
		u.fd = u.SyscallConn()
		return u.counted(), nil
	}
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", b.address())
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, b.refused(ctx)
		}
		b.r.metrics.upstreamError("dial")
		if !outOfDescriptors(err) { // that would be our own fault
			b.answered(false)
		}
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	secure := b.toDoor
	if b.up != nil {
		secure = b.toUpstream
	}
	over, err := secure(ctx, c)
	if err != nil {
		c.Close()
		return nil, err
	}
	u.named, u.greet = b.up == nil, b.up == nil
	u.Init(c, writeTimeout)
	if u.fd = u.SyscallConn(); over != c {
		u.doored = b.up == nil
		u.Init(over, writeTimeout)
	}
	return u.counted(), nil
}

// key is what u's other end is shown: the secret, but not in plain text where TLS is spoken. A
// worker that stands alone has a key of its own then.
func (u *upstream) key(ctx context.Context) (string, error) {
	key, err := u.b.key(ctx)
	if err == nil && u.b.r.cfg.Certificates != nil && !u.doored {
		return directory.WorkerKey(key, u.b.id), nil
	}
	return key, err
}

// key is the secret that the worker's door is shown: ours, or one of before where it refused that.
func (b *backend) key(ctx context.Context) (string, error) {
	key, err := b.r.cfg.Directory.Secret(ctx)
	if err != nil {
		return "", err
	}
	if refused := b.keys.Load(); refused > 0 {
		if all := b.r.cfg.Directory.Secrets(); len(all) > 0 {
			return all[int(refused)%len(all)], nil
		}
	}
	return key, nil
}

// otherKey notes that the door refused a key, and tells whether there is another that it has not
// been shown.
func (b *backend) otherKey() bool {
	n := len(b.r.cfg.Directory.Secrets())
	return n > 1 && int(b.keys.Add(1))%n != 0
}

// address is how the worker is reached: the door of its host may open, or move, after the worker is known.
func (b *backend) address() string {
	if w := b.r.cfg.Directory.Workers().Get(b.id); w != nil && w.Addr != "" {
		return w.Addr
	}
	return b.addr
}

// refused says what a door that refuses connections means. Its supervisor holds it open, so the host's processes have
// ended, or are about to: then what reaches the worker over kept connections is still served.
func (b *backend) refused(ctx context.Context) error {
	if b.up != nil {
		return errGone
	}
	if b.drains() {
		return errShut
	}
	select {
	case <-time.After(closing):
	case <-ctx.Done():
	}
	if b.drains() {
		return errShut
	}
	return errGone
}

func (b *backend) drains() bool {
	w := b.r.cfg.Directory.Workers().Get(b.id)
	return w != nil && w.State == directory.StateDraining
}

// toUpstream makes c one over TLS, where the list says so.
func (b *backend) toUpstream(ctx context.Context, c net.Conn) (net.Conn, error) {
	if b.up.TLS == nil {
		return c, nil
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	tc := tls.Client(c, b.up.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		b.r.metrics.upstreamError("dial")
		b.answered(false)
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Time{})
	return tc, nil
}

// answered tells a listed backend's health how a request ended.
func (b *backend) answered(ok bool) {
	if b.up != nil {
		b.up.Answered(ok)
	}
}

// relays counts the WebSockets of a listed backend, which has nobody else to tell.
func (b *backend) relays(change int) {
	if b.up != nil {
		b.up.Relays(change)
	}
}

// sendError says what a failed send to the worker's handoff socket means.
func (b *backend) sendError(ctx context.Context, s *handoff.Sender, err error) error {
	if errors.Is(err, handoff.ErrDead) {
		return b.lost(ctx, s)
	}
	if errors.Is(err, handoff.ErrFull) {
		b.r.metrics.upstreamError("full")
	}
	return fmt.Errorf("%w: %w", errBusy, err)
}

// lost asks again who is at the worker's socket, after its link s broke: errGone, or errBusy where it answers.
func (b *backend) lost(ctx context.Context, s *handoff.Sender) error {
	s.Close() // link does not return it again
	if _, err := b.link(ctx); err != nil {
		return err
	}
	return errBusy
}

// link returns the sender to a worker of this host, nil for one of another host.
func (b *backend) link(ctx context.Context) (*handoff.Sender, error) {
	for {
		b.mu.Lock()
		b.seen = time.Now()
		if s := b.sender; s != nil {
			select {
			case <-s.Done():
				b.sender = nil
			default:
				b.mu.Unlock()
				return s, nil
			}
		}
		if b.away {
			b.mu.Unlock()
			return nil, nil
		}
		if b.r.cfg.RuntimeDir == "" || b.host != b.r.cfg.HostName || !validID(b.id) {
			b.away = true
			b.mu.Unlock()
			continue
		}
		if time.Since(b.silent) < silence {
			b.mu.Unlock()
			return nil, errBusy
		}
		wait := b.dialing
		if wait == nil {
			b.dialing = make(chan struct{})
			b.mu.Unlock()
			return b.dialSender(ctx)
		}
		b.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, errBusy
		}
	}
}

// dialSender connects to the worker's handoff socket, alone.
func (b *backend) dialSender(ctx context.Context) (*handoff.Sender, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	s, err := b.r.dialHandoff(ctx, b.id)
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.dialing)
	b.dialing = nil
	switch {
	case err == nil && b.r.stopped.Load():
		s.Close()
		return nil, errBusy
	case err == nil:
		b.sender, b.here = s, true
		if s.Untouched() {
			b.r.peeks.Store(true)
		}
		return s, nil
	case !errors.Is(err, handoff.ErrDead) && !errors.Is(err, handoff.ErrWrongWorker):
		b.silent = time.Now()
		b.r.metrics.upstreamError("dial")
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	case b.here || b.addr == "" || b.addr == b.r.cfg.AdvertiseAddr:
		return nil, errGone
	}
	b.away = true // another router of a host with the same name, or a worker that serves itself
	return nil, nil
}

func (r *Router) dialHandoff(ctx context.Context, id string) (*handoff.Sender, error) {
	return handoff.Dial(ctx, filepath.Join(r.cfg.RuntimeDir, id+".sock"), id)
}

// validID keeps ids from leaving the folder.
func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}

// keeps is how long a connection to b may be idle.
func (b *backend) keeps() time.Duration {
	if b.up != nil {
		return min(b.r.cfg.UpstreamIdle, unknownIdle)
	}
	return b.r.cfg.UpstreamIdle
}

// tidy closes connections that were idle before then, and tells whether the backend can be forgotten: its worker is not
// in the table any more and nobody has asked for it since.
func (b *backend) tidy(then time.Time, known bool) (forget bool) {
	b.mu.Lock()
	n := 0
	for n < len(b.idle) && b.idle[n].since.Before(then) {
		n++
	}
	old := append([]*upstream(nil), b.idle[:n]...)
	b.idle = append(b.idle[:0], b.idle[n:]...)
	clear(b.idle[len(b.idle):cap(b.idle)])
	forget = !known && len(b.idle) == 0 && b.seen.Before(then)
	b.mu.Unlock()
	for _, u := range old {
		u.close()
	}
	return forget
}

// close ends everything idle and the link.
func (b *backend) close() {
	b.tidy(time.Now().Add(time.Hour), true)
	b.mu.Lock()
	s := b.sender
	b.sender = nil
	b.mu.Unlock()
	if s != nil {
		s.Close()
	}
}
