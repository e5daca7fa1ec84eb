package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// startProbe begins to prove a WebSocket, if the session may move to one. A probe that fails harms
// nothing: the session goes on polling.
func (c *Conn) startProbe() {
	if c.cfg.Upgrade && slices.Contains(c.open.Upgrades, WebSocket) && slices.Contains(c.cfg.Transports, WebSocket) {
		c.wg.Go(c.probe)
	}
}

func (c *Conn) probe() {
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.UpgradeTimeout)
	defer cancel()
	ws, err := c.cfg.dialWebSocket(ctx, c.open.SID)
	if err != nil {
		return
	}
	c.mu.Lock()
	if c.reason != "" || c.closing {
		c.mu.Unlock()
		ws.abort()
		return
	}
	c.probing = ws
	c.mu.Unlock()
	err = ws.prove(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = nil
	if err != nil || c.reason != "" || c.closing {
		ws.abort()
		return
	}
	c.probed = ws
}

// prove asks the server over the new WebSocket, and waits for its answer.
func (s *socket) prove(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	if _, err := s.conn.Write(s.appendPacket(nil, packet.Packet{Type: packet.Ping, Data: []byte("probe")})); err != nil {
		return err
	}
	p, err := s.readPacket()
	if err == nil && (p.Type != packet.Pong || string(p.Data) != "probe") {
		err = fmt.Errorf("%w: %s packet instead of the probe's answer", ErrProtocol, p.Type)
	}
	if err == nil && !stop() {
		err = ctx.Err()
	}
	return err
}

// switched moves the session to the WebSocket that was proven, if there is one: between two polls,
// so that all the server sent by polling has been read, and after the post under way.
func (c *Conn) switched() bool {
	c.mu.Lock()
	for c.probed != nil && c.writing && c.reason == "" {
		c.idle.Wait()
	}
	ws := c.probed
	if ws == nil || c.reason != "" {
		c.mu.Unlock()
		return false
	}
	c.probed, c.ws = nil, ws
	c.watch.Stop()
	queue := c.queue
	c.queue, c.queued = nil, 0
	c.frameLocked(packet.Packet{Type: packet.Upgrade})
	for _, p := range queue {
		c.frameLocked(p)
	}
	c.flushLocked()
	c.mu.Unlock()
	c.alive()
	c.tell(WebSocket)
	return true
}
