package relay

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	// halfOpen is how long a pair outlives the end of one direction. A WebSocket's ends follow each
	// other at once.
	halfOpen = 30 * time.Second
	// crowd is how many pairs a loop has before another core gets one, too: the more a loop has,
	// the more it does each time it wakes up.
	crowd = 512
)

// Pairs are all pairs of a router. Its methods may be called concurrently.
type Pairs struct {
	stall time.Duration
	most  int            // loops: one per core
	tasks sync.WaitGroup // the loops, and the goroutines of pairs that no loop takes

	mu    sync.Mutex
	loops []*loop
	ended bool
}

// New returns Pairs that give up a side which takes nothing for the time of stall. It starts
// nothing.
func New(stall time.Duration) *Pairs {
	return &Pairs{stall: stall, most: runtime.GOMAXPROCS(0)}
}

// Join makes p a pair of a and b, and owns both from now on. It calls ended once both are closed,
// on a goroutine of its own choice. What the streams have buffered goes first. Join doesn't wait.
func (ps *Pairs) Join(p *Pair, a, b *netio.Stream, ended func()) {
	p.ended = ended
	if l := ps.loop(); l != nil && l.join(p, a, b) {
		return
	}
	p.copy(&ps.tasks, a, b)
}

// loop returns the loop for one more pair, or nil if there is none.
func (ps *Pairs) loop() (least *loop) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.ended {
		return nil
	}
	full := true
	for _, l := range ps.loops {
		full = full && l.pairs.Load() >= crowd
		if least == nil || l.pairs.Load() < least.pairs.Load() {
			least = l
		}
	}
	if !full || len(ps.loops) == ps.most {
		return least
	}
	l, err := newLoop(ps.stall)
	if err != nil {
		return least // without one, the pair takes goroutines
	}
	ps.loops = append(ps.loops, l)
	ps.tasks.Go(l.run)
	return l
}

// Expire ends the pairs whose time is over. Call it about once a second.
func (ps *Pairs) Expire(now time.Time) {
	ps.mu.Lock()
	loops := ps.loops
	ps.mu.Unlock()
	for _, l := range loops {
		l.expire(now.UnixNano())
	}
}

// Close ends the loops, and all pairs that they still have. It returns when every goroutine has
// ended; the pairs without a loop have to be cut before. Call it once, after the last Join.
func (ps *Pairs) Close() {
	ps.mu.Lock()
	ps.ended = true
	for _, l := range ps.loops {
		l.close()
	}
	ps.mu.Unlock()
	ps.tasks.Wait()
}

// Pair is two connections that have become one. The zero value is a pair before Join.
type Pair struct {
	ended func()
	cut   atomic.Bool
	loop  atomic.Pointer[loop]    // nil: none has it
	ways  atomic.Pointer[streams] // nil: a loop has it, or it isn't joined

	// The loop's mu guards the rest.
	sides  [2]side
	slot   uint32
	gen    uint32 // tells the slot's events from those of an earlier pair
	half   int64  // Unix nanoseconds until when one direction may outlive the other; 0: both go on
	closed bool
}

// Cut breaks the pair off. It returns at once, and may be called at any time, more than once and
// before Join.
func (p *Pair) Cut() {
	p.cut.Store(true)
	if l := p.loop.Load(); l != nil {
		l.cut(p)
	}
	if s := p.ways.Load(); s != nil {
		s.tear()
	}
}

// side is one connection of a pair.
type side struct {
	pair *Pair
	tls  *tls.Conn // nil: plain
	out  []byte    // borrowed: what the kernel didn't take; nil: nothing
	sent int       // of out
	slow int64     // Unix nanoseconds when the side last took something of out
	fd   int32
	more bool // there may be something to read
	ends bool // its peer has ended it, maybe behind bytes to read
	dry  bool // of TLS: the kernel has nothing to read
	full bool // the loop waits for room to write
	over bool // it was read to its end
	turn bool // it is in loop.again
}

func (s *side) other() *side {
	if p := s.pair; s == &p.sides[0] {
		return &p.sides[1]
	}
	return &s.pair.sides[0]
}

// Under is a connection below a [tls.Conn]. It is the net.Conn that it was made of until the
// tls.Conn joins a pair, and doesn't block any more from then on.
type Under struct {
	net.Conn
	seen []byte
	side *side // not nil: a loop's
}

// NewUnder returns conn, of which seen was already read.
func NewUnder(conn net.Conn, seen []byte) *Under { return &Under{Conn: conn, seen: seen} }

// Read reads what was seen before anything else.
func (u *Under) Read(p []byte) (int, error) {
	if len(u.seen) > 0 {
		n := copy(p, u.seen)
		if u.seen = u.seen[n:]; len(u.seen) == 0 {
			u.seen = nil
		}
		return n, nil
	}
	if u.side != nil {
		return u.side.readNow(p)
	}
	return u.Conn.Read(p)
}

// Write takes all of p in a pair, where the loop queues the part that the kernel doesn't take.
func (u *Under) Write(p []byte) (int, error) {
	if u.side == nil {
		return u.Conn.Write(p)
	}
	if err := u.side.send(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// nothing is the error of a read without bytes. TLS goes on after it, since it is temporary.
type nothing struct{}

func (nothing) Error() string   { return "relay: nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// errNothing is what a read returns if there is nothing to read now.
var errNothing net.Error = nothing{}
