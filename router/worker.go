package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/relay"
)

const (
	dialTimeout = 2 * time.Second
	// openTimeout bounds how long a request waits for a worker that does not take connections.
	openTimeout = time.Second
	maxIdle     = 512 // connections kept to one worker
	// unknownIdle is how long a connection to a server is kept that we know nothing of: Node's
	// closes it after 5 s, and a request that is sent at that moment is lost.
	unknownIdle = 3 * time.Second
	// silence is how long a worker that did not answer is not asked again: requests would queue up
	// behind the asking.
	silence = 500 * time.Millisecond
	// closing is how long after its host's door a worker may still be known as ready: its own end
	// is announced when no connection comes in any more.
	closing = 100 * time.Millisecond
)

var (
	// errGone reports a worker that is dead, as its host's sockets tell.
	errGone = errors.New("router: worker is gone")
	// errBusy reports a worker that lives but takes nothing new at the moment.
	errBusy = errors.New("router: worker doesn't answer")
	// errShut reports a worker that drains behind a door that is closed already: it lives, but
	// nobody new gets to it.
	errShut = errors.New("router: worker's host is closing")
)

// worker is one incarnation of a worker: how to reach it, the connections that are kept to it, and
// what the router counts to balance sessions.
type worker struct {
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
	idle    []*workerConn   // the last is the most recently used
	seen    time.Time       // last used
	silent  time.Time       // when its handoff socket last did not answer

	repeats  atomic.Bool   // as in its record, when that was last seen
	beat     atomic.Uint64 // the beat that opened counts from
	opened   atomic.Int64  // sessions opened by this router since
	keys     atomic.Uint32 // how often the door refused one: which of our secrets it is shown
	gate     gate
	requests atomic.Int64 // under way
}

// is reports whether a record describes the worker. A nil worker is none.
func (w *worker) is(record *directory.Worker) bool { return w != nil && w.id == record.ID }

// knowsRepeats reports whether the worker recognises repeated requests and understands
// handoff.ClientLeft.
func (w *worker) knowsRepeats() bool {
	if record := w.r.cfg.Directory.Workers().Get(w.id); record != nil {
		w.repeats.Store(record.Repeats)
	}
	return w.up == nil && w.repeats.Load()
}

// load is the worker's load as this router knows it, being one of so many.
func (w *worker) load(record *directory.Worker, routers int) load {
	if old := w.beat.Load(); old != record.Beat && w.beat.CompareAndSwap(old, record.Beat) {
		w.opened.Store(0) // the record counts them from now on
	}
	return load{clients: record.Clients + routers*int(max(w.opened.Load(), 0)), here: record.Host == w.r.cfg.HostName}
}

// get returns a connection to the worker: one that is idle, unless fresh is asked for, or a new
// one.
func (w *worker) get(ctx context.Context, fresh bool) (*workerConn, error) {
	for !fresh {
		u := w.takeIdle()
		if u == nil {
			break
		}
		if u.alive() {
			u.reused = true
			return u, nil
		}
		u.close()
	}
	return w.dial(ctx)
}

func (w *worker) takeIdle() *workerConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.idle)
	if n == 0 {
		return nil
	}
	u := w.idle[n-1]
	w.idle[n-1], w.idle = nil, w.idle[:n-1]
	return u
}

// put keeps a connection for the next request.
func (w *worker) put(u *workerConn) {
	u.Release()
	u.Expect(0)
	u.since = time.Now()
	w.mu.Lock()
	keep := len(w.idle) < maxIdle && !w.r.workers.stopped.Load()
	if keep {
		w.seen = u.since
		w.idle = append(w.idle, u)
	}
	w.mu.Unlock()
	if !keep {
		u.close()
	}
}

// dial makes a new connection to the worker.
func (w *worker) dial(ctx context.Context) (*workerConn, error) {
	s, err := w.link(ctx)
	if err != nil {
		return nil, err
	}
	u := &workerConn{w: w}
	u.peek = u.onPeek
	if s != nil {
		ctx, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		c, err := s.Open(ctx)
		if err != nil {
			return nil, w.sendError(ctx, s, err)
		}
		u.Init(c, writeTimeout)
		u.fd = u.SyscallConn()
		return u.counted(), nil
	}
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", w.address())
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil, w.refused(ctx)
		}
		w.r.metrics.upstreamError("dial")
		if !outOfDescriptors(err) { // that would be our own fault
			w.answered(false)
		}
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	secure := w.toDoor
	if w.up != nil {
		secure = w.toUpstream
	}
	over, err := secure(ctx, c)
	if err != nil {
		c.Close()
		return nil, err
	}
	u.named, u.greet = w.up == nil, w.up == nil
	u.Init(c, writeTimeout)
	if u.fd = u.SyscallConn(); over != c {
		u.doored = w.up == nil
		u.Init(over, writeTimeout)
	}
	return u.counted(), nil
}

// key is the secret that the worker's door is shown: ours, or one of before where it refused that.
func (w *worker) key(ctx context.Context) (string, error) {
	key, err := w.r.cfg.Directory.Secret(ctx)
	if err != nil {
		return "", err
	}
	if refused := w.keys.Load(); refused > 0 {
		if all := w.r.cfg.Directory.Secrets(); len(all) > 0 {
			return all[int(refused)%len(all)], nil
		}
	}
	return key, nil
}

// otherKey notes that the door refused a key, and reports whether there is another that it has not
// been shown.
func (w *worker) otherKey() bool {
	n := len(w.r.cfg.Directory.Secrets())
	return n > 1 && int(w.keys.Add(1))%n != 0
}

// address is how the worker is reached: the door of its host may open, or move, after the worker is
// known.
func (w *worker) address() string {
	if record := w.r.cfg.Directory.Workers().Get(w.id); record != nil && record.Addr != "" {
		return record.Addr
	}
	return w.addr
}

// refused says what a door that refuses connections means. Its supervisor holds it open, so the
// host's processes have ended, or are about to: then what reaches the worker over kept connections
// is still served.
func (w *worker) refused(ctx context.Context) error {
	if w.up != nil {
		return errGone
	}
	if w.drains() {
		return errShut
	}
	select {
	case <-time.After(closing):
	case <-ctx.Done():
	}
	if w.drains() {
		return errShut
	}
	return errGone
}

func (w *worker) drains() bool {
	record := w.r.cfg.Directory.Workers().Get(w.id)
	return record != nil && record.State == directory.StateDraining
}

// toUpstream makes c one over TLS, where the list says so.
func (w *worker) toUpstream(ctx context.Context, c net.Conn) (net.Conn, error) {
	if w.up.TLS == nil {
		return c, nil
	}
	c.SetDeadline(time.Now().Add(dialTimeout))
	tc := tls.Client(relay.NewUnder(c, nil), w.up.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		w.r.metrics.upstreamError("dial")
		w.answered(false)
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	}
	c.SetDeadline(time.Time{})
	return tc, nil
}

// answered tells an upstream's health how a request ended.
func (w *worker) answered(ok bool) {
	if w.up != nil {
		w.up.Answered(ok)
	}
}

// sendError says what a failed send to the worker's handoff socket means.
func (w *worker) sendError(ctx context.Context, s *handoff.Sender, err error) error {
	if errors.Is(err, handoff.ErrDead) {
		return w.lost(ctx, s)
	}
	if errors.Is(err, handoff.ErrFull) {
		w.r.metrics.upstreamError("full")
	}
	return fmt.Errorf("%w: %w", errBusy, err)
}

// lost asks again who is at the worker's socket, after its link s broke: errGone, or errBusy where
// it answers.
func (w *worker) lost(ctx context.Context, s *handoff.Sender) error {
	s.Close() // link does not return it again
	if _, err := w.link(ctx); err != nil {
		return err
	}
	return errBusy
}

// link returns the sender to a worker of this host, nil for one of another host.
func (w *worker) link(ctx context.Context) (*handoff.Sender, error) {
	for {
		w.mu.Lock()
		w.seen = time.Now()
		if s := w.sender; s != nil {
			select {
			case <-s.Done():
				w.sender = nil
			default:
				w.mu.Unlock()
				return s, nil
			}
		}
		if w.away {
			w.mu.Unlock()
			return nil, nil
		}
		if w.r.cfg.RuntimeDir == "" || w.host != w.r.cfg.HostName || !validID(w.id) {
			w.away = true
			w.mu.Unlock()
			continue
		}
		if time.Since(w.silent) < silence {
			w.mu.Unlock()
			return nil, errBusy
		}
		wait := w.dialing
		if wait == nil {
			w.dialing = make(chan struct{})
			w.mu.Unlock()
			return w.dialSender(ctx)
		}
		w.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, errBusy
		}
	}
}

// dialSender connects to the worker's handoff socket, alone.
func (w *worker) dialSender(ctx context.Context) (*handoff.Sender, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	s, err := w.r.workers.dial(ctx, w.id)
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.dialing)
	w.dialing = nil
	switch {
	case err == nil && w.r.workers.stopped.Load():
		s.Close()
		return nil, errBusy
	case err == nil:
		w.sender, w.here = s, true
		if s.Untouched() {
			w.r.workers.untouched.Store(true)
		}
		return s, nil
	case !errors.Is(err, handoff.ErrDead) && !errors.Is(err, handoff.ErrWrongWorker):
		w.silent = time.Now()
		w.r.metrics.upstreamError("dial")
		return nil, fmt.Errorf("%w: %w", errBusy, err)
	case w.here || w.addr == "" || w.addr == w.r.cfg.AdvertiseAddr:
		return nil, errGone
	}
	w.away = true // another router of a host with the same name, or a worker that serves itself
	return nil, nil
}

// validID keeps ids from leaving the folder.
func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}

// keeps is how long a connection to b may be idle.
func (w *worker) keeps() time.Duration {
	if w.up != nil {
		return min(w.r.cfg.UpstreamIdle, unknownIdle)
	}
	return w.r.cfg.UpstreamIdle
}

// tidy closes connections that were idle before then, and reports whether the worker can be
// forgotten: its worker is not in the table any more and nobody has asked for it since.
func (w *worker) tidy(then time.Time, known bool) (forget bool) {
	w.mu.Lock()
	n := 0
	for n < len(w.idle) && w.idle[n].since.Before(then) {
		n++
	}
	old := append([]*workerConn(nil), w.idle[:n]...)
	w.idle = append(w.idle[:0], w.idle[n:]...)
	clear(w.idle[len(w.idle):cap(w.idle)])
	forget = !known && len(w.idle) == 0 && w.seen.Before(then)
	w.mu.Unlock()
	for _, u := range old {
		u.close()
	}
	return forget
}

// close ends everything idle and the link.
func (w *worker) close() {
	w.tidy(time.Now().Add(time.Hour), true)
	w.mu.Lock()
	s := w.sender
	w.sender = nil
	w.mu.Unlock()
	if s != nil {
		s.Close()
	}
}
