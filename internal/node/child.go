package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// Why a process counts as ready.
const (
	byListening = "listening"
	bySticky    = "sticky"
	byMessage   = "ready"
	byPort      = "port"
)

// child is a Node process with a channel. One goroutine handles its messages in order.
type child struct {
	h    *Host
	id   int
	told lifeline.ChannelTold
	ch   *channel
	log  *slog.Logger

	ctx context.Context // ends with the channel
	end context.CancelFunc

	bridge     *bridge // of cluster-adapter, to other workers and servers
	seq        atomic.Int64
	malformed  bool         // has been logged
	clients    atomic.Int64 // sessions, as the process counts them or sticky announces them
	preloaded  atomic.Bool  // our script runs in it
	reclusters atomic.Bool  // it sends recluster's messages
	started    time.Time
	usage      atomic.Pointer[Usage] // its last report; nil: none came
	speaksProm atomic.Bool           // it answers prom-client's request for metrics
	scrape     scrape
	said       chan struct{} // closed when it says that it is ready
	onSaid     sync.Once
	drained    chan struct{} // closed when it says that its sessions have left
	onDrained  sync.Once

	mu        sync.Mutex // guards the rest
	endpoints map[string]*endpoint
	servers   map[string]struct{}           // that listen for connections we give them, by their keys
	mainPort  int                           // the first that it asked for and got; 0: none
	offers    map[int64]func(accepted bool) // connections without an answer so far, by the message's number; nil: it has ended
	bridges   map[int]*bridge               // of servers with our adapter, by their numbers
	losses    map[string]loss               // by reason
	ready     bool
	worker    string // its id in the directory, the first it got
}

func newChild(ctx context.Context, h *Host, id int, told lifeline.ChannelTold, ch *channel) *child {
	c := &child{
		h: h, id: id, told: told, ch: ch, said: make(chan struct{}), drained: make(chan struct{}), endpoints: make(map[string]*endpoint), servers: make(map[string]struct{}),
		offers: make(map[int64]func(accepted bool)), bridges: make(map[int]*bridge), losses: make(map[string]loss),
		log: h.log.With("process", told.Name, "pid", told.PID), started: time.Now(),
	}
	c.ctx, c.end = context.WithCancel(ctx)
	c.bridge = newBridge(c, 0)
	return c
}

// run handles what the process sends until its channel ends.
func (c *child) run() {
	err := c.ch.read(c.h.cfg.MaxFrame, c.frame)
	c.ch.close()
	c.end()
	if !errors.Is(err, errClosed) {
		c.log.Error("channel closed: the process breaks the protocol", "error", err)
	}
	if n := c.ch.leftUnread(); n > 0 {
		c.log.Error("channel closed: the process doesn't read its messages", "messages", n, "limit", c.h.cfg.MaxUnread)
		c.h.metrics.uncarried.WithLabelValues("unread").Add(float64(n))
	}
	for _, b := range c.allBridges() {
		b.close()
	}
	c.h.ports.leave(c, "")
	c.dropOffers()
	c.closeEndpoints()
	c.ch.writer.Wait()
	c.h.forget(c)
}

// frame handles one message. An error ends the channel.
func (c *child) frame(f ipc.Frame) error {
	c.h.metrics.frames.Inc()
	v, err := ipc.Decode(c.ch.mode, f)
	if err != nil {
		c.h.metrics.malformed.Inc()
		if !c.malformed {
			c.malformed = true
			c.log.Warn("unreadable message; ignoring it and further ones", "bytes", len(f), "error", err)
		}
		return nil
	}
	c.message(f, v)
	return nil
}

// message passes a message on by what it is for.
func (c *child) message(f ipc.Frame, v ipc.Value) {
	o, ok := v.(*ipc.Object)
	if !ok {
		if v == ipc.Value(byMessage) {
			c.saysReady()
		} else {
			c.overheard(f, v)
		}
		return
	}
	switch cmd := o.Text("cmd"); {
	case cmd == "NODE_HANDLE_ACK" || cmd == "NODE_HANDLE_NACK": // a NACK is for a descriptor that got lost: it is closed
		c.ch.acknowledged()
	case cmd == "NODE_HANDLE": // we closed its descriptor; without an answer the process sends nothing more
		_ = c.ch.sendValue((&ipc.Object{}).Set("cmd", "NODE_HANDLE_ACK"))
		inner := o.Get("msg")
		if i, ok := inner.(*ipc.Object); ok && i.Text("cmd") == cmd {
			return // Node wraps a message once; this one may even contain itself
		}
		c.message(nil, inner)
	case cmd == "NODE_CLUSTER":
		c.cluster(o)
	case cmd == preloadCommand:
		c.fromPreload(f, o)
	case strings.HasPrefix(cmd, "NODE_"):
	case o.Text("source") == adapterSource && f != nil:
		c.bridge.fromWorker(f, o)
	case o.Text("type") == "sticky:connection":
		c.announced(1)
	case o.Text("type") == "sticky:disconnection":
		c.announced(-1)
	case o.Text("type") == promResponse && c.scrape.answered(o, len(f)):
	case cmd == "ready": // recluster's
		c.reclusters.Store(true)
		c.saysReady()
	case cmd == "disconnect": // recluster asks for a successor
		c.reclusters.Store(true)
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildMessage, Message: json.RawMessage(`{"cmd":"disconnect"}`)})
	default:
		c.overheard(f, v)
	}
}

// bridgeOf returns the bridge of a server with our adapter.
func (c *child) bridgeOf(server int) *bridge {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bridges[server] == nil {
		c.bridges[server] = newBridge(c, server)
	}
	return c.bridges[server]
}

// allBridges returns all bridges of the process.
func (c *child) allBridges() []*bridge {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Collect(maps.Values(c.bridges)), c.bridge)
}

// logEvery is how often a process's losses are logged, by reason.
const logEvery = time.Minute

// uncarried counts and logs n messages of the process that didn't reach all other servers. Between
// two lines of the log it only counts.
func (c *child) uncarried(reason string, n int, fields ...any) {
	c.h.metrics.uncarried.WithLabelValues(reason).Add(float64(n))
	c.mu.Lock()
	l := c.losses[reason]
	l.count += n
	now := time.Now()
	due := now.Sub(l.logged) >= logEvery
	count := l.count
	if due {
		l = loss{logged: now}
	}
	c.losses[reason] = l
	c.mu.Unlock()
	if due {
		c.log.Warn("messages didn't reach all other servers", append([]any{"reason", reason, "messages", count}, fields...)...)
	}
}

// loss is messages of a process that the log doesn't mention yet.
type loss struct {
	count  int
	logged time.Time // the last line
}

// announced counts the sessions that sticky announces, unless the preload script counts them.
func (c *child) announced(n int64) {
	if !c.preloaded.Load() {
		c.clients.Add(n)
	}
}

// saysReady handles the message "ready", which counts if the process was to send it.
func (c *child) saysReady() {
	c.onSaid.Do(func() { close(c.said) })
	c.becameReady(byMessage)
}

// becameReady reports once that the process serves. A process with WaitReady has to say so itself.
func (c *child) becameReady(by string) {
	if c.told.WaitReady != (by == byMessage) {
		return
	}
	c.mu.Lock()
	first := !c.ready
	c.ready = true
	worker := c.worker
	c.mu.Unlock()
	if first {
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildReady, By: by, Worker: worker})
	}
}

// load returns the number of sessions, for the directory.
func (c *child) load() int { return int(max(c.clients.Load(), 0)) }

// closeEndpoints takes the process out of the directory.
func (c *child) closeEndpoints() {
	c.mu.Lock()
	endpoints := c.endpoints
	c.endpoints = nil
	c.mu.Unlock()
	for _, d := range endpoints {
		d.close()
	}
	for _, d := range endpoints {
		<-d.done
	}
}
