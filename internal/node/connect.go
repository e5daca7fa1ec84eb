package node

import (
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// openEndpoint opens an endpoint, whose connections reach the process with the message that frame
// makes. sticky and the first port that the process asked for share the app's own endpoint, since
// both lead to the same server. Other ports have their own. A key has at most one endpoint.
func (c *child) openEndpoint(key string, port int, by, server string, frame framing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	app := c.h.cfg.App
	if port == c.mainPort {
		key = mainKey
	} else if key != mainKey {
		app = directory.PortApp(app, port)
	}
	if c.endpoints == nil || c.endpoints[key] != nil || c.h.cfg.Conn == nil {
		return
	}
	d := &endpoint{
		app:    app,
		server: server,
		record: directory.Worker{Slot: c.told.Slot, PID: c.told.PID},
		load:   c.load,
		give:   func(conn *handoff.Conn) error { return c.connect(conn, frame) },
		read:   !c.preloaded.Load(),
		before: c.settled,
		opened: func(worker string) { c.endpointOpened(by, worker) },
	}
	c.endpoints[key] = d
	c.h.open(c.ctx, d)
}

func (c *child) closeEndpoint(key string) {
	c.mu.Lock()
	d := c.endpoints[key]
	delete(c.endpoints, key)
	c.mu.Unlock()
	if d != nil {
		d.close()
	}
}

// settled waits until the process hears the other servers, and has said "ready" if it must.
func (c *child) settled(ctx context.Context) error {
	if c.told.WaitReady {
		select {
		case <-c.said:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, b := range c.allBridges() {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *child) endpointOpened(by, worker string) {
	c.mu.Lock()
	late := c.worker == "" && c.ready // by its own word, or by a server without routers
	if c.worker == "" {
		c.worker = worker
	}
	c.mu.Unlock()
	if late {
		c.h.report(lifeline.ChildReport{ID: c.told.ID, State: lifeline.ChildReady, By: by, Worker: worker})
	}
	c.becameReady(by)
	c.log.Debug("worker ready", "worker", worker, "by", by)
}

// framing makes the message that gives a process a connection. from tells who is at the other end.
type framing func(from string) (ipc.Frame, error)

// The ends of connections. The process believes only a router about clients, and a client may send
// no request beside the one that a router has read (preload.js).
const (
	fromRouter = "router"
	fromClient = "client"
	fromHere   = "own"
)

// stickyFrame hands a connection to a process that uses @socket.io/sticky, of any version. There
// are no first bytes of a request in it: they are still in the connection.
func (c *child) stickyFrame(from string) (ipc.Frame, error) {
	return ipc.Encode(c.ch.mode, (&ipc.Object{}).Set("cmd", "NODE_HANDLE").Set("type", "net.Socket").
		Set("msg", (&ipc.Object{}).Set("type", "sticky:connection").Set("data", "").Set("sidereal", from)), c.h.cfg.MaxUnread)
}

// serverFrame hands a connection to one of the process' listening servers.
func (c *child) serverFrame(key, from string) (ipc.Frame, error) {
	return c.connectionFrame(key, c.seq.Add(1)-1, from)
}

func (c *child) connectionFrame(key string, seq int64, from string) (ipc.Frame, error) {
	return ipc.Encode(c.ch.mode, (&ipc.Object{}).Set("cmd", "NODE_HANDLE").Set("type", "net.Native").
		Set("msg", (&ipc.Object{}).Set("cmd", "NODE_CLUSTER").Set("act", "newconn").Set("key", key).
			Set("seq", float64(seq)).Set("sidereal", from)), c.h.cfg.MaxUnread)
}

// connect gives a connection to the process itself. One that brings bytes that were read already
// stays with us, and the process gets a pair's end: Node's servers read from connections only. So
// does a client's where our script does not run in the process: only the script keeps Node from
// reading on behind the upgrade.
func (c *child) connect(conn *handoff.Conn, frame framing) error {
	from := fromRouter
	if conn.Kind() == handoff.Client {
		from = fromClient
	}
	f, err := frame(from)
	if err != nil {
		return err
	}
	if conn.Buffered() == 0 && (conn.Kind() == handoff.Local || from == fromClient && c.preloaded.Load()) {
		if err := c.ch.give(f, conn); err != nil {
			return err
		}
		c.h.metrics.connections.WithLabelValues(conn.Kind().String()).Inc()
		return nil
	}
	ours, theirs, err := pair()
	if err != nil {
		return err
	}
	if err := c.ch.give(f, theirs); err != nil {
		ours.Close()
		theirs.Close()
		return err
	}
	c.h.metrics.connections.WithLabelValues("copied").Inc()
	if from == fromClient {
		c.h.guard(c.ctx, conn, ours, nil)
	} else {
		c.h.copy(c.ctx, conn, ours)
	}
	return nil
}

// pair makes two connected sockets.
func pair() (ours, theirs *net.UnixConn, err error) {
	one, other, err := netio.SocketPair(false)
	if err != nil {
		return nil, nil, err
	}
	if ours, err = unixConn(one); err != nil {
		syscall.Close(other)
		return nil, nil, err
	}
	if theirs, err = unixConn(other); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func unixConn(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "pair")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UnixConn), nil
}

// halfCloser is a connection whose sending direction can be ended.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// copy copies bytes between two connections, which it takes over, until both directions or ctx end.
func (h *Host) copy(ctx context.Context, a, b halfCloser) {
	one := func(dst, src halfCloser) {
		_, err := io.Copy(dst, src)
		if err != nil {
			src.Close()
			dst.Close()
			return
		}
		_ = dst.CloseWrite() // fails where dst is closed
	}
	ok := h.start(func() {
		defer a.Close()
		defer b.Close()
		defer context.AfterFunc(ctx, func() {
			a.Close()
			b.Close()
		})()
		back := make(chan struct{})
		go func() {
			defer close(back)
			one(b, a)
		}()
		one(a, b)
		<-back
	})
	if !ok {
		a.Close()
		b.Close()
	}
}

// mainKey and portKey are what endpoints go by among those of a process.
const mainKey = "main"

func portKey(port int) string { return "port " + strconv.Itoa(port) }
