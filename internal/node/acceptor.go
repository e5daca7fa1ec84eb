package node

import (
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// acceptor accepts connections for servers that no router can serve: servers that speak TLS or
// another protocol than HTTP, servers at a port that the kernel chose, and servers at a unix path.
// It gives each connection to one of the processes that listen, like Node's primary, and ends with
// the last of them.
type acceptor struct {
	h    *Host
	key  string
	data ipc.Value // of the first that listened, for all of them: the keys of TLS tickets
	l    net.Listener

	// Guarded by ports.mu.
	takers []*taker
	turn   int
	room   chan struct{} // closed, and replaced, when a process may have room again
}

// connection is a connection with a descriptor to give away.
type connection interface {
	net.Conn
	File() (*os.File, error)
}

// taker is a process that listens.
type taker struct {
	c       *child
	waiting int // connections that it has not answered for
}

// maxUnanswered limits the connections that a process has neither taken nor refused, because its
// event loop is blocked.
const maxUnanswered = 64

// listenHere makes a worker listen for connections that this process accepts.
func (c *child) listenHere(o *ipc.Object, q query) {
	a, errno := c.h.ports.acceptor(c, q, o.Get("data"))
	if errno != "" {
		c.refuse(o, errno)
		return
	}
	c.listensAt(o, q, a.data, a.l.Addr())
}

// acceptor adds a process to the acceptor of q's address, which it opens for the first one.
func (p *ports) acceptor(c *child, q query, data ipc.Value) (*acceptor, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.acceptors[q.key()]
	if a == nil {
		if len(p.acceptors) >= maxPorts {
			return nil, "EMFILE"
		}
		l, err := q.listen()
		if err != nil {
			return nil, errnoOf(err)
		}
		a = &acceptor{h: p.h, key: q.key(), data: data, l: l, room: make(chan struct{})}
		if !p.h.start(a.run) {
			l.Close()
			return nil, "EINVAL"
		}
		p.acceptors[a.key] = a
	}
	if !slices.ContainsFunc(a.takers, func(t *taker) bool { return t.c == c }) { // it may ask again
		a.takers = append(a.takers, &taker{c: c})
	}
	return a, ""
}

func (q query) listen() (net.Listener, error) {
	addr := net.JoinHostPort(q.address, strconv.Itoa(q.port))
	switch q.kind {
	case "4":
		return net.Listen("tcp4", addr)
	case "6":
		return net.Listen("tcp", addr)
	}
	return net.Listen("unix", q.address)
}

// leave removes a process from all acceptors, or from the one of a key. It closes an acceptor that
// has no process any more.
func (p *ports) leave(c *child, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, a := range p.acceptors {
		if key != "" && k != key {
			continue
		}
		left := a.takers[:0]
		for _, t := range a.takers {
			if t.c != c {
				left = append(left, t)
			}
		}
		clear(a.takers[len(left):])
		a.takers = left
		if len(left) == 0 {
			delete(p.acceptors, k)
			a.l.Close()
		}
		a.roomLocked()
	}
}

// roomLocked wakes the acceptor, if it waits.
func (a *acceptor) roomLocked() {
	close(a.room)
	a.room = make(chan struct{})
}

// run accepts until the listener is closed.
func (a *acceptor) run() {
	for {
		conn, err := a.l.Accept()
		switch {
		case err == nil:
			a.give(conn.(connection), 0)
		case errors.Is(err, net.ErrClosed):
			return
		default: // too many open files, usually
			select {
			case <-time.After(firstTry):
			case <-a.h.over:
			}
		}
	}
}

// give hands a connection to a process. refused processes have refused it before.
func (a *acceptor) give(conn connection, refused int) {
	t := a.next(refused)
	if t == nil {
		conn.Close()
		return
	}
	settled := func(accepted bool) {
		a.h.ports.mu.Lock()
		t.waiting--
		a.roomLocked()
		a.h.ports.mu.Unlock()
		if accepted || !a.h.start(func() { a.give(conn, refused+1) }) {
			conn.Close() // ours: the process has its own
		}
	}
	if err := t.c.offer(a.key, conn, settled); err != nil {
		settled(false)
	}
}

// next returns the process whose turn it is, among those with the fewest unanswered connections. It
// waits while all have too many. It returns nil if none listens any more, or each has refused.
func (a *acceptor) next(refused int) *taker {
	p := a.h.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if n := len(a.takers); n == 0 || refused >= n {
			return nil
		}
		a.turn++
		var best *taker
		for i := range a.takers {
			if t := a.takers[(a.turn+i)%len(a.takers)]; best == nil || t.waiting < best.waiting {
				best = t
			}
		}
		if best.waiting < maxUnanswered {
			best.waiting++
			return best
		}
		room := a.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-a.h.over:
			p.mu.Lock() // for the deferred unlock
			return nil
		}
		p.mu.Lock()
	}
}

// offer sends a connection to a server of the process, and later calls settled with whether the
// process took it. After an error it doesn't call settled.
func (c *child) offer(key string, conn connection, settled func(accepted bool)) error {
	seq := c.seq.Add(1) - 1
	f, err := c.connectionFrame(key, seq, fromHere)
	if err != nil {
		return err
	}
	theirs, err := conn.File()
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.offers == nil {
		c.mu.Unlock()
		theirs.Close()
		return errClosed
	}
	c.offers[seq] = settled
	c.mu.Unlock()
	if err := c.ch.give(f, theirs); err != nil {
		theirs.Close()
		if c.takeOffer(seq) == nil {
			return nil // settled was called: the process has ended
		}
		return err
	}
	return nil
}

// answered takes the process's answer to an offer.
func (c *child) answered(seq int64, accepted bool) {
	if settled := c.takeOffer(seq); settled != nil {
		settled(accepted)
	}
}

func (c *child) takeOffer(seq int64) func(bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	settled := c.offers[seq]
	delete(c.offers, seq)
	return settled
}

// dropOffers closes the connections that an ended process hasn't answered for. The process may have
// read from them, so no other process gets them.
func (c *child) dropOffers() {
	c.mu.Lock()
	offers := c.offers
	c.offers = nil
	c.mu.Unlock()
	for _, settled := range offers {
		settled(true)
	}
}
