package router

import (
	"io"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// halfOpen is how long a relay outlives the end of one direction. A WebSocket's ends follow each
// other at once.
const halfOpen = 30 * time.Second

// relay carries a WebSocket's bytes between a client and a worker until both ways have ended, one
// broke, or the router stops. A way has a goroutine while bytes move on it. One that was quiet for
// a second or two is parked: it waits in an epoll set with all others, without a goroutine and
// without a buffer, until bytes come.
type relay struct {
	c    *conn
	u    *workerConn
	ways [2]way       // to the worker, to the client
	left atomic.Int32 // ways that have not ended
	half atomic.Int64 // Unix nanoseconds until when the other may go on, since one has; 0: none has
	torn atomic.Bool  // broken off
}

// way is one direction of a relay.
type way struct {
	relay    *relay
	to, from *netio.Stream
	fd       syscall.RawConn // of from, below TLS; nil: it has none, and is not parked

	moved   atomic.Uint32 // reads
	seen    atomic.Uint32 // of these, when parkQuiet last saw it
	resting atomic.Bool   // it is to be parked
	parked  atomic.Bool   // who makes it false again has to run it
	id      uint64        // the park's, 0: none; guarded by its mu
}

// relay becomes one with u. What u has read begins with the 101. It returns at once: the goroutines
// are new, with stacks half as large as one that has served requests.
func (c *conn) relay(u *workerConn) {
	m := c.r.metrics
	m.proxied.Dec()
	m.relayed.Inc()
	m.transferred.WithLabelValues("relayed").Inc()
	u.w.relays(+1)
	c.Conn.SetReadDeadline(time.Time{})
	if c.watched != 0 {
		c.r.watcher.remove(c) // its end is read now
	}
	r := &relay{c: c, u: u}
	r.left.Store(2)
	r.ways[0] = way{relay: r, to: &u.Stream, from: &c.Stream, fd: c.fd}
	r.ways[1] = way{relay: r, to: &c.Stream, from: &u.Stream, fd: u.SyscallConn()}
	if u.fd != nil {
		r.ways[1].fd = u.fd
	}
	c.mu.Lock()
	c.carried = r
	if c.cut {
		r.torn.Store(true)
	}
	c.mu.Unlock()
	c.r.serving.Add(1) // for the relay itself: its ways come and go
	c.state.Store(uint32(connRelay))
	for i := range r.ways {
		c.r.serving.Go(r.ways[i].run)
	}
}

// run carries until the way is parked or has ended. The later one to end closes both connections.
func (w *way) run() {
	if w.carry() {
		return
	}
	if r := w.relay; r.left.Add(-1) == 0 {
		r.end()
	}
}

func (r *relay) end() {
	c := r.c
	c.r.park.remove(&r.ways[0])
	c.r.park.remove(&r.ways[1])
	c.r.metrics.relayed.Dec()
	c.r.metrics.proxied.Inc()
	r.u.w.relays(-1)
	c.awaited()
	r.u.close()
	c.r.unreserve(nil)
	c.end()
	c.r.serving.Done()
}

// carry copies. Its end is passed on; if it breaks, the other way is broken off too. True: it is
// parked, and whoever wakes it goes on with it.
func (w *way) carry() (parked bool) {
	to, from := w.to, w.from
	for {
		if len(from.Bytes()) == 0 {
			from.Release()
			if err := from.Fill(); err != nil {
				if isTimeout(err) && w.goesOn() {
					if w.resting.Swap(false) && w.rest() {
						return true
					}
					continue
				}
				w.ended(err)
				return false
			}
			w.moved.Add(1)
		}
		p := from.Bytes()
		if _, err := to.Write(p); err != nil {
			w.relay.tear()
			return false
		}
		from.Expect(int64(len(p)) + 1) // who fills a small buffer has more on its way
		from.Discard(len(p))
	}
}

// ended passes the end of this way on.
func (w *way) ended(err error) {
	if cw, ok := w.to.Conn.(interface{ CloseWrite() error }); ok && err == io.EOF && cw.CloseWrite() == nil {
		w.relay.half.Store(time.Now().Add(halfOpen).UnixNano())
		w.other().setDeadline()
		w.other().wake() // it has to see that deadline
		return
	}
	w.relay.tear()
}

func (w *way) other() *way {
	if r := w.relay; w == &r.ways[0] {
		return &r.ways[1]
	}
	return &w.relay.ways[0]
}

// tear breaks both ways off.
func (r *relay) tear() {
	r.torn.Store(true)
	for i := range r.ways {
		r.ways[i].from.Conn.SetDeadline(past)
	}
	for i := range r.ways {
		r.ways[i].wake()
	}
}

// goesOn reports whether a read that timed out was only interrupted.
func (w *way) goesOn() bool {
	r := w.relay
	if until := r.half.Load(); r.torn.Load() || until != 0 && time.Now().UnixNano() >= until {
		return false
	}
	w.setDeadline()
	return true
}

// setDeadline makes reads wait as long as they should, whatever interrupted them. A change in the
// meantime is seen here, or by the goroutine that makes it.
func (w *way) setDeadline() {
	r := w.relay
	w.from.Conn.SetReadDeadline(time.Time{})
	if until := r.half.Load(); until != 0 {
		w.from.Conn.SetReadDeadline(time.Unix(0, until))
	}
	if r.torn.Load() {
		w.from.Conn.SetDeadline(past)
	}
}

// rest parks the way. It returns false if the way has to go on.
func (w *way) rest() bool {
	r := w.relay
	w.parked.Store(true)
	if !r.torn.Load() && r.half.Load() == 0 && r.c.r.park.arm(w) {
		return true
	}
	return !w.parked.CompareAndSwap(true, false) // somebody else goes on with it
}

// wake has a parked way go on.
func (w *way) wake() {
	if w.parked.CompareAndSwap(true, false) {
		w.relay.c.r.serving.Go(w.run)
	}
}

// parkQuiet parks the ways on which nothing moved since the last time.
func (r *relay) parkQuiet() {
	if r.half.Load() != 0 || r.torn.Load() {
		return
	}
	for i := range r.ways {
		w := &r.ways[i]
		moved := w.moved.Load()
		if moved == w.seen.Load() && w.fd != nil && !w.parked.Load() {
			w.resting.Store(true)
			w.from.Conn.SetReadDeadline(past) // ends its wait, see carry
		}
		w.seen.Store(moved)
	}
}

// parkQuietRelays is called once a second.
func (r *Router) parkQuietRelays() {
	if !r.park.works() {
		return
	}
	var all []*relay
	r.mu.Lock()
	for c := range r.conns {
		if connState(c.state.Load()) == connRelay {
			all = append(all, c.carried)
		}
	}
	r.mu.Unlock()
	for _, relay := range all {
		relay.parkQuiet()
	}
}
