package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// Receiver gets the messages of a session, on the goroutine of Serve.
type Receiver interface {
	// Receive takes one message. The data is only valid during the call, which must not block. An
	// error ends the session with "parse error".
	Receive(data []byte, binary bool) error
}

// closeGrace limits the time that a closing session has to send its queue.
const closeGrace = 2 * time.Second

// Conn is one session.
type Conn struct {
	cfg    *Config
	open   packet.OpenData
	first  []packet.Packet // came with the open packet in the answer to a polling handshake
	ctx    context.Context // polling requests and the probe end with it; nil for a session born on a WebSocket
	cancel context.CancelCauseFunc
	watch  *time.Timer // ends a polling session that gets no pings

	wg sync.WaitGroup // the writer and the probe

	mu      sync.Mutex
	idle    sync.Cond // writing has become false
	ws      *socket   // nil while the session polls
	probed  *socket   // answered the probe; nothing is posted any more
	probing *socket   // the probe is under way
	queue   []packet.Packet
	out     []byte // frames that the kernel hasn't accepted yet
	queued  int    // bytes in queue, out, and being written
	corked  int
	writing bool // the writer goroutine runs
	closing bool // Close was called
	closeBy time.Time
	said    bool // the close packet or frame was queued
	reason  string
	err     error
}

// Open begins a session. If the server refuses it, the error is the one of Config.Refused.
func Open(ctx context.Context, cfg *Config) (*Conn, error) {
	var errs []error
	for _, transport := range cfg.Transports {
		c := &Conn{cfg: cfg}
		c.idle.L = &c.mu
		var err error
		if transport == WebSocket {
			err = c.openWebSocket(ctx)
		} else {
			err = c.openPolling(ctx)
		}
		if err == nil {
			c.tell(transport)
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", transport, err))
		if !cfg.TryAll || ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (c *Conn) tell(transport string) {
	if c.cfg.OnTransport != nil {
		c.cfg.OnTransport(transport)
	}
}

// SID returns the session's id.
func (c *Conn) SID() string { return c.open.SID }

// Transport returns the name of the present transport.
func (c *Conn) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ws == nil {
		return Polling
	}
	return WebSocket
}

// Serve reads until the session ends, and returns the reason as the official client names it. When
// it returns, nothing of the session is left. The error says more, and is nil after Close.
func (c *Conn) Serve(r Receiver) (reason string, err error) {
	if c.ws == nil {
		c.servePolling(r)
	}
	c.mu.Lock()
	ws := c.ws
	c.mu.Unlock()
	if ws != nil {
		c.serveWebSocket(ws, r)
	}
	c.wg.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason, c.err
}

// Close ends the session with "forced close", after what is queued was sent, or after two seconds.
// It does not wait: Serve returns when it is done.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || c.reason != "" {
		return
	}
	c.closing = true
	c.closeBy = time.Now().Add(closeGrace)
	c.corked = 0
	if p := c.probed; p != nil {
		c.probed = nil
		p.abort()
	}
	if c.ws != nil {
		c.ws.conn.SetWriteDeadline(c.closeBy)
	} else {
		c.watch.Reset(closeGrace)
	}
	c.startWriterLocked()
}

// fail ends the session. The first reason stays.
func (c *Conn) fail(reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(reason, err)
}

func (c *Conn) failLocked(reason string, err error) {
	if c.reason != "" {
		return
	}
	if c.closing {
		reason, err = ReasonForcedClose, nil // errors of a closing session don't matter
	}
	c.reason, c.err = reason, err
	c.queue, c.out, c.queued = nil, nil, 0
	if c.cancel != nil {
		c.watch.Stop()
		c.cancel(ErrClosed)
	}
	for _, ws := range []*socket{c.ws, c.probed, c.probing} {
		if ws != nil {
			ws.abort()
		}
	}
}

// handle deals with one packet of the server.
func (c *Conn) handle(p packet.Packet, r Receiver) error {
	switch p.Type {
	case packet.Message:
		if err := r.Receive(p.Data, p.Binary); err != nil {
			c.fail(ReasonParseError, err)
			return err
		}
	case packet.Ping:
		c.alive()
		if c.cfg.OnPing != nil {
			c.cfg.OnPing()
		}
		if err := c.Send(packet.Packet{Type: packet.Pong, Data: p.Data}); err != nil && !errors.Is(err, ErrClosed) {
			return err
		}
	case packet.Close:
		return errClosePacket
	}
	return nil // a noop, or a packet that a server has no reason to send
}
