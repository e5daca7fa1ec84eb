package relay

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// streams copy a pair that no loop takes, with a goroutine for each direction.
type streams struct {
	pair *Pair
	ways [2]way       // of both directions
	left atomic.Int32 // ways that have not ended
	half atomic.Int64 // Unix nanoseconds until when the other may go on, since one has; 0: none has
	torn atomic.Bool  // broken off
}

// way is one direction.
type way struct {
	streams  *streams
	to, from *netio.Stream
}

// copy starts both directions.
func (p *Pair) copy(tasks *sync.WaitGroup, a, b *netio.Stream) {
	s := newStreams(p, a, b)
	a.Conn.SetReadDeadline(time.Time{})
	b.Conn.SetReadDeadline(time.Time{})
	p.ways.Store(s)
	if p.cut.Load() {
		s.tear()
	}
	for i := range s.ways {
		tasks.Go(s.ways[i].run)
	}
}

func newStreams(p *Pair, a, b *netio.Stream) *streams {
	s := &streams{pair: p}
	s.left.Store(2)
	s.ways = [2]way{{s, b, a}, {s, a, b}}
	return s
}

// run copies until the way has ended. The later one to end closes both connections.
func (w *way) run() {
	w.carry()
	if s := w.streams; s.left.Add(-1) == 0 {
		for i := range s.ways {
			s.ways[i].from.Drop()
			s.ways[i].from.Conn.Close()
		}
		s.pair.ended()
	}
}

// carry copies. It passes its end on; if it breaks, the other way is broken off, too.
func (w *way) carry() {
	to, from := w.to, w.from
	for {
		if len(from.Bytes()) == 0 {
			from.Release()
			if err := from.Fill(); err != nil {
				if isTimeout(err) && w.goesOn() {
					continue
				}
				w.end(err)
				return
			}
		}
		p := from.Bytes()
		if _, err := to.Write(p); err != nil {
			w.streams.tear()
			return
		}
		from.Expect(int64(len(p)) + 1) // a peer that fills a small buffer has more on its way
		from.Discard(len(p))
	}
}

// end passes the end of this way on.
func (w *way) end(err error) {
	if cw, ok := w.to.Conn.(interface{ CloseWrite() error }); ok && err == io.EOF && cw.CloseWrite() == nil {
		w.streams.half.Store(time.Now().Add(halfOpen).UnixNano())
		w.other().setDeadline()
		return
	}
	w.streams.tear()
}

func (w *way) other() *way {
	if s := w.streams; w == &s.ways[0] {
		return &s.ways[1]
	}
	return &w.streams.ways[0]
}

// tear breaks both ways off. TLS would wait for a peer that takes nothing, so the connections below
// it are closed.
func (s *streams) tear() {
	s.torn.Store(true)
	for i := range s.ways {
		c := s.ways[i].from.Conn
		c.SetDeadline(past)
		if below, ok := c.(interface{ NetConn() net.Conn }); ok {
			below.NetConn().Close()
		}
	}
}

// goesOn reports whether a read that timed out was only interrupted.
func (w *way) goesOn() bool {
	s := w.streams
	if until := s.half.Load(); s.torn.Load() || until != 0 && time.Now().UnixNano() >= until {
		return false
	}
	w.setDeadline()
	return true
}

// setDeadline makes reads wait as long as they should, whatever interrupted them. A change in the
// meantime is seen here, or by the goroutine that makes it.
func (w *way) setDeadline() {
	s := w.streams
	w.from.Conn.SetReadDeadline(time.Time{})
	if until := s.half.Load(); until != 0 {
		w.from.Conn.SetReadDeadline(time.Unix(0, until))
	}
	if s.torn.Load() {
		w.from.Conn.SetDeadline(past)
	}
}

// past is a deadline that ends every wait.
var past = time.Unix(1, 0)

// isTimeout tells a deadline that passed from a broken connection.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
