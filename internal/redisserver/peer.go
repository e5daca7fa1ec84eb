package redisserver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/alicebob/miniredis/v2/server"
)

const (
	readAhead   = 64       // commands read before the one that runs has ended
	replyBuffer = 64 << 10 // replies to a pipeline leave together, or when there are so many bytes of them
)

// peer is one client's connection to the embedded Redis. Its goroutine runs the commands in
// order; a reader hands them over. A connection that ever subscribed writes through its outbox, and
// any other directly, so that a client that doesn't read its replies delays only itself.
type peer struct {
	conn     net.Conn
	commands *server.Server
	pubsub   *pubsub
	readers  *sync.WaitGroup

	peer    *server.Peer // as miniredis knows this connection; what it writes goes to replies
	replies bytes.Buffer

	sub        *subscriber
	topics     int  // what it is subscribed to
	subscribed bool // it was, once
	admitted   bool // it needs no password or has given it
	queueing   bool // between MULTI and EXEC
}

func newPeer(conn net.Conn, commands *server.Server, ps *pubsub, serving *sync.WaitGroup) *peer {
	p := &peer{
		conn:     conn,
		commands: commands,
		pubsub:   ps,
		readers:  serving,
		sub: &subscriber{
			out:    &outbox{conn: conn, writers: serving},
			topics: make(map[listening]struct{}),
		},
	}
	p.peer = server.NewPeer(bufio.NewWriter(&p.replies))
	return p
}

// serve runs the client's commands until it leaves.
func (p *peer) serve() {
	requests := make(chan []string, readAhead)
	var failed error // of the reader, once requests is closed
	p.readers.Go(func() {
		defer close(requests)
		failed = p.read(requests)
	})
	quit := false
	for args := range requests {
		if quit { // until finish has ended the reader
			continue
		}
		name := strings.ToUpper(args[0])
		p.handle(name, args)
		quit = name == "QUIT"
		if quit {
			p.leave()
		} else if len(requests) == 0 || p.replies.Len() > replyBuffer {
			p.flush()
		}
	}
	if !quit {
		if errors.Is(failed, errProtocol) {
			fmt.Fprintf(&p.replies, "-ERR %v\r\n", failed)
		}
		p.leave()
	}
}

// read hands commands over until the connection ends.
func (p *peer) read(requests chan<- []string) error {
	r := bufio.NewReaderSize(p.conn, 16<<10)
	for {
		args, err := readRequest(r)
		if err != nil {
			p.peer.Close() // a command that blocks looks at it
			return err
		}
		if len(args) > 0 {
			requests <- args
		}
	}
}

// leave sends the remaining replies and hangs up.
func (p *peer) leave() {
	p.pubsub.drop(p.sub)
	p.flush()
	p.sub.out.finish()
}

// flush sends the replies.
func (p *peer) flush() {
	switch b := p.replies.Bytes(); {
	case len(b) == 0:
		return
	case p.subscribed:
		p.sub.out.push(b)
	default:
		if _, err := p.conn.Write(b); err != nil {
			p.conn.Close()
		}
	}
	if p.replies.Reset(); p.replies.Cap() > 2*replyBuffer {
		p.replies = bytes.Buffer{}
	}
}

// handle answers one command.
func (p *peer) handle(name string, args []string) {
	listening := p.topics > 0 && !p.sub.resp3.Load() // RESP2: no ordinary command among the messages
	switch name {
	case "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE":
		p.subscribe(name, args)
	case "PUBLISH", "PUBSUB":
		if listening {
			p.refuse(name)
			return
		}
		p.ask(name, args)
	case "PING":
		if !listening || len(args) > 2 {
			p.run(args)
			return
		}
		p.peer.Block(func(w *server.Writer) {
			w.WriteStrings([]string{"pong", strings.Join(args[1:], "")})
		})
		p.peer.Flush()
	case "RESET":
		p.reset()
	case "QUIT":
		p.run(args)
	default:
		if listening {
			p.refuse(name)
			return
		}
		if strings.HasPrefix(name, "B") || strings.HasPrefix(name, "XREAD") { // may block: earlier replies don't wait for it
			p.flush()
		}
		p.track(name, p.run(args))
	}
}

// run passes a command to miniredis and returns the reply. It's valid until the next reply.
func (p *peer) run(args []string) []byte {
	before := p.replies.Len()
	p.commands.Dispatch(p.peer, args)
	p.peer.Flush()
	return p.replies.Bytes()[before:]
}

// track records what miniredis knows about this connection and doesn't tell.
func (p *peer) track(name string, reply []byte) {
	switch name {
	case "MULTI":
		if reply[0] == '+' {
			p.queueing, p.admitted = true, true
		}
	case "EXEC", "DISCARD":
		if !bytes.HasPrefix(reply, []byte("-ERR ")) { // malformed; EXECABORT ends it
			p.queueing = false
		}
	case "HELLO":
		p.sub.resp3.Store(p.peer.Resp3)
	}
}

// admit reports whether this connection may use pub/sub. If not, it has sent the error.
func (p *peer) admit() bool {
	if !p.admitted {
		before := p.replies.Len()
		if p.run([]string{"PING"})[0] == '-' { // NOAUTH
			return false
		}
		p.replies.Truncate(before)
		p.admitted = true
	}
	return true
}

// ask runs PUBLISH and PUBSUB by [pubsub.answer]. In a transaction they wait for EXEC, as scripts
// do, because miniredis queues, and it calls the hook from a script.
func (p *peer) ask(name string, args []string) {
	if name == "PUBLISH" && len(args) != 3 {
		p.run(args) // malformed: says so
		return
	}
	if !p.admit() {
		return
	}
	if p.queueing {
		args = append([]string{"EVAL", "return redis.call(unpack(ARGV))", "0"}, args...)
	}
	p.run(args)
}

// subscribe runs the four commands that begin and end subscriptions.
func (p *peer) subscribe(name string, args []string) {
	kind, pattern := strings.CutPrefix(name, "P")
	if kind == "SUBSCRIBE" && len(args) == 1 {
		p.run(args) // malformed: says so
		return
	}
	if !p.admit() {
		return
	}
	if p.queueing { // Redis would queue it; nobody does this
		before := p.replies.Len()
		p.run([]string{"PUBLISH"}) // malformed: EXEC will abort
		p.replies.Truncate(before)
		p.peer.WriteError("ERR " + name + " is not served inside MULTI")
		p.peer.Flush()
		return
	}
	p.flush() // earlier replies come before what pubsub sends
	p.subscribed = true
	if kind == "SUBSCRIBE" {
		p.topics = p.pubsub.subscribe(p.sub, args[1:], pattern)
	} else {
		p.topics = p.pubsub.unsubscribe(p.sub, args[1:], pattern)
	}
}

// reset returns the connection to its first state, authentication included.
func (p *peer) reset() {
	p.pubsub.drop(p.sub)
	p.topics, p.admitted, p.queueing = 0, false, false
	p.peer.Ctx, p.peer.Resp3, p.peer.ClientName = nil, false, ""
	p.sub.resp3.Store(false)
	p.peer.WriteInline("RESET")
	p.peer.Flush()
}

func (p *peer) refuse(name string) {
	p.peer.WriteError(fmt.Sprintf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
		strings.ToLower(name)))
	p.peer.Flush()
}
