package redisconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

const (
	chunkBytes = 16 << 10 // read at once, and kept as long as a message in it is
	maxBulk    = 512 << 20
)

// push is a connection that subscribes, and on which Redis then speaks by itself (RESP2). The client under Conn has one,
// too, but makes a dozen objects of each message before anybody can tell whether it is for somebody here: that was three
// quarters of what a skipped message cost.
type push struct {
	conn   net.Conn
	within time.Duration // of a write
	heard  func()        // called whenever something was read

	mu  sync.Mutex // held while writing
	out []byte

	// What was read. Bytes of a chunk are never written again, so that messages may keep them.
	chunk    []byte
	from, to int
}

// said is one thing that Redis said: a message, the confirmation of a subscription, or an answer to PING ("pong").
type said struct {
	kind    string
	channel string
	payload []byte
}

// isMessage tells whether somebody published it.
func (s said) isMessage() bool {
	return s.kind == "message" || s.kind == "pmessage" || s.kind == "smessage"
}

// answerError is an error that Redis answers with. It is a redis.Error.
type answerError string

func (e answerError) Error() string { return string(e) }
func (e answerError) RedisError()   {}

var (
	_ redis.Error = answerError("")

	errSyntax = errors.New("redis: malformed reply")
)

// dialPush connects to a node as its client does, and shows the password.
func dialPush(ctx context.Context, node *redis.Client, heard func()) (*push, error) {
	opt := node.Options()
	dialing, cancel := context.WithTimeout(ctx, opt.DialTimeout)
	defer cancel()
	conn, err := opt.Dialer(dialing, opt.Network, opt.Addr)
	if err != nil {
		return nil, err
	}
	p := &push{conn: conn, within: opt.WriteTimeout, heard: heard}
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
	if _, err := p.Receive(ctx); err != nil {
		return err
	}
	return p.conn.SetReadDeadline(time.Time{})
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
	b := append(p.out[:0], '*')
	b = strconv.AppendInt(b, int64(1+len(args)), 10)
	b = appendBulk(append(b, "\r\n"...), name)
	for _, arg := range args {
		b = appendBulk(b, arg)
	}
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.within)); err != nil {
		return err
	}
	_, err := p.conn.Write(b)
	if p.out = b; cap(b) > chunkBytes {
		p.out = nil // thousands of names at once are rare
	}
	return err
}

// Receive returns the next thing that Redis says. Its texts and payload stay as they are for ever. It blocks until there is
// one, or the connection ends. After a redis.Error, which answers a command, it goes on. One goroutine may call it at a
// time.
func (p *push) Receive(context.Context) (said, error) {
	for {
		s, size, need, err := parsePush(p.chunk[p.from:p.to])
		p.from += size
		if size > 0 || err != nil {
			return s, err
		}
		if err := p.fill(need); err != nil {
			return said{}, err
		}
	}
}

// fill reads more, into a new chunk when the message begun does not fit into this one.
func (p *push) fill(need int) error {
	if have := p.to - p.from; p.to == len(p.chunk) || p.from+need > len(p.chunk) {
		chunk := make([]byte, max(chunkBytes, need))
		copy(chunk, p.chunk[p.from:p.to])
		p.chunk, p.from, p.to = chunk, 0, have
	}
	n, err := p.conn.Read(p.chunk[p.to:])
	p.to += n
	if n > 0 {
		p.heard()
		return nil
	}
	return err
}

// parsePush reads what b begins with, and tells how many bytes that were. When b ends before, size is 0, and need is how many
// bytes there must be at least.
func parsePush(b []byte) (s said, size, need int, err error) {
	line, rest, whole := cutLine(b)
	if !whole {
		return said{}, 0, len(b) + 1, lineError(b)
	}
	switch line[0] {
	case '-':
		return said{}, len(b) - len(rest), 0, answerError(bytes.Clone(line[1:]))
	case '+': // an answer to AUTH, or to PING while nothing is subscribed
		kind := text(line[1:])
		if kind == "PONG" {
			kind = "pong"
		}
		return said{kind: kind}, len(b) - len(rest), 0, nil
	case '*':
	default:
		return said{}, 0, 0, errSyntax
	}
	n, err := strconv.Atoi(text(line[1:]))
	if err != nil || n < 2 || n > 4 {
		return said{}, 0, 0, errSyntax
	}
	var parts [4][]byte
	for i := range n {
		part, size, need, err := parsePart(rest)
		if err != nil || size == 0 {
			return said{}, 0, len(b) - len(rest) + need, err
		}
		parts[i], rest = part, rest[size:]
	}
	s = said{kind: kindOf(parts[0]), channel: text(parts[1]), payload: parts[2]}
	if s.kind == "pmessage" { // kind, pattern, channel, payload
		s.channel, s.payload = text(parts[2]), parts[3]
	}
	return s, len(b) - len(rest), 0, nil
}

// kinds are those of messages: their names are the same bytes for all.
var kinds = map[string]string{"message": "message", "pmessage": "pmessage", "smessage": "smessage"}

func kindOf(b []byte) string {
	if kind, ok := kinds[string(b)]; ok {
		return kind
	}
	return string(b)
}

// parsePart reads a bulk string, or a number, whose text is what it returns.
func parsePart(b []byte) (part []byte, size, need int, err error) {
	line, rest, whole := cutLine(b)
	if !whole {
		return nil, 0, len(b) + 1, lineError(b)
	}
	head := len(b) - len(rest)
	switch line[0] {
	case ':':
		return line[1:], head, 0, nil
	case '$':
	default:
		return nil, 0, 0, errSyntax
	}
	n, err := strconv.Atoi(text(line[1:]))
	switch {
	case err != nil || n < -1 || n > maxBulk:
		return nil, 0, 0, fmt.Errorf("%w: %.20q", errSyntax, line)
	case n < 0: // nil: UNSUBSCRIBE from nothing
		return nil, head, 0, nil
	case len(rest) < n+2:
		return nil, 0, head + n + 2, nil
	}
	return rest[:n:n], head + n + 2, 0, nil
}

// maxLine is the longest line but an error: a kind and a number.
const maxLine = 4096

func cutLine(b []byte) (line, rest []byte, whole bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 2 {
		return nil, b, false
	}
	return b[:end-1], b[end+1:], true
}

func lineError(b []byte) error {
	if len(b) > maxLine || len(b) >= 2 && bytes.IndexByte(b[:2], '\n') >= 0 {
		return errSyntax
	}
	return nil
}

// text is b, which is not written to any more.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
