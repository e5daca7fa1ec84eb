package redisconn

import (
	"cmp"
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const chunkBytes = 32 << 10 // read at once, and kept as long as a message in it is

// push is a connection that subscribes, and on which Redis then speaks by itself (RESP2). The
// client under Conn has one, too, but makes a dozen objects of each message before anybody can tell
// whether it is for somebody here: that was three quarters of what a skipped message cost.
type push struct {
	conn   net.Conn
	within time.Duration // of a write
	heard  func()        // called whenever something was read
	most   int           // bytes of a payload
	skip   int           // bytes of a longer payload that are still to be read past

	mu  sync.Mutex // held while writing
	out []byte

	// The bytes that were read and not yet taken are chunk[from:to].
	chunk    []byte
	from, to int
	kept     bool // something that was taken from the chunk is kept: no byte of it may be written again
}

// dialPush connects to a node as its client does, and shows the password.
func dialPush(ctx context.Context, node *redis.Client, most int, heard func()) (*push, error) {
	opt := node.Options()
	dialing, cancel := context.WithTimeout(ctx, opt.DialTimeout)
	defer cancel()
	conn, err := opt.Dialer(dialing, opt.Network, opt.Addr)
	if err != nil {
		return nil, err
	}
	p := &push{conn: conn, within: opt.WriteTimeout, heard: heard, most: cmp.Or(most, maxBulk)}
	if opt.Password == "" {
		return p, nil
	}
	if err := p.auth(ctx, opt); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *push) auth(ctx context.Context, opt *redis.Options) error {
	args := []string{opt.Password}
	if opt.Username != "" {
		args = []string{opt.Username, opt.Password}
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(opt.ReadTimeout)); err != nil {
		return err
	}
	if err := p.command("AUTH", args); err != nil {
		return err
	}
	if _, err := p.Receive(ctx); err != nil && !needsNone(err) {
		return err
	}
	return p.conn.SetReadDeadline(time.Time{})
}

// needsNone tells that Redis, since version 6, lets everybody in and was shown a password all the
// same. Other connections are let in, too: they name the user, and then it takes any password.
func needsNone(err error) bool {
	return strings.HasPrefix(err.Error(), "ERR AUTH <password> called without any password configured")
}

// The commands. They may be called concurrently, with Receive too.
func (p *push) Subscribe(_ context.Context, names ...string) error {
	return p.command("SUBSCRIBE", names)
}
func (p *push) PSubscribe(_ context.Context, names ...string) error {
	return p.command("PSUBSCRIBE", names)
}
func (p *push) SSubscribe(_ context.Context, names ...string) error {
	return p.command("SSUBSCRIBE", names)
}
func (p *push) Unsubscribe(_ context.Context, names ...string) error {
	return p.command("UNSUBSCRIBE", names)
}
func (p *push) PUnsubscribe(_ context.Context, names ...string) error {
	return p.command("PUNSUBSCRIBE", names)
}
func (p *push) SUnsubscribe(_ context.Context, names ...string) error {
	return p.command("SUNSUBSCRIBE", names)
}
func (p *push) Ping(context.Context) error { return p.command("PING", nil) }

// Close ends the connection, and Receive with it.
func (p *push) Close() error { return p.conn.Close() }

func (p *push) command(name string, args []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := appendCommand(p.out[:0], name, args...)
	if p.out = b; cap(b) > chunkBytes {
		p.out = nil // thousands of names at once are rare
	}
	return p.write(b)
}

func appendCommand(b []byte, name string, args ...string) []byte {
	b = strconv.AppendInt(append(b, '*'), int64(1+len(args)), 10)
	b = appendBulk(append(b, "\r\n"...), name)
	for _, arg := range args {
		b = appendBulk(b, arg)
	}
	return b
}

func appendBulk(b []byte, s string) []byte {
	b = strconv.AppendInt(append(b, '$'), int64(len(s)), 10)
	b = append(append(b, "\r\n"...), s...)
	return append(b, "\r\n"...)
}

func (p *push) write(b []byte) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.within)); err != nil {
		return err
	}
	_, err := p.conn.Write(b)
	return err
}

// Receive returns the next thing that Redis says. It blocks until there is one, or the connection
// ends. After a redis.Error, which answers a command, it goes on. One goroutine may call it at a
// time.
func (p *push) Receive(context.Context) (said, error) {
	for {
		s, need, err := p.next()
		if need == 0 {
			return s, err
		}
		if err := p.fill(need); err != nil {
			return said{}, err
		}
	}
}

// next takes what has been read already. Where that is not whole, need is what fill wants to know.
func (p *push) next() (s said, need int, err error) {
	if p.skip > 0 {
		past := min(p.skip, p.to-p.from)
		p.from += past
		if p.skip -= past; p.skip > 0 {
			return said{}, 1, nil
		}
	}
	s, size, need, err := parsePush(p.chunk[p.from:p.to], p.most)
	p.from += size
	switch {
	case s.omitted > 0:
		p.skip = s.omitted + len("\r\n")
	case len(s.payload) > p.most: // it came with others in one read
		s.omitted, s.payload = len(s.payload), nil
	}
	return s, need, err
}

// keep leaves what was taken as it is; the garbage collector has the chunk when nobody keeps it any
// more. Other chunks are read into again: most messages are kept by nobody, and new chunks for them
// were a quarter of what skipping them cost.
func (p *push) keep() { p.kept = true }

// fill reads more, so that what was begun can have the bytes that it needs.
func (p *push) fill(need int) error {
	p.makeRoom(need)
	n, err := p.conn.Read(p.chunk[p.to:])
	p.to += n
	if n > 0 {
		p.heard()
		return nil
	}
	return err
}

// believedMessage bytes of a message are made room for before they are there; beyond, four times
// what has come.
const believedMessage = 1 << 20

// makeRoom moves what was begun to the front of its chunk; to a new one when this one is kept and
// full, or too small, or larger than usual for a message that is gone.
func (p *push) makeRoom(need int) {
	begun := p.chunk[p.from:p.to]
	need = min(need, max(believedMessage, 4*len(begun)))
	switch {
	case p.kept && p.to < len(p.chunk) && p.from+need <= len(p.chunk):
		return
	case p.kept, need > len(p.chunk), len(p.chunk) > chunkBytes && len(begun) == 0:
		p.chunk, p.kept = make([]byte, max(chunkBytes, need)), false
	}
	p.from, p.to = 0, copy(p.chunk, begun)
}
