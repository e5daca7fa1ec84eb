package peer

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Network is the way of one client to its servers, which a test can disturb. Its zero value is
// undisturbed. Its methods may be called concurrently.
type Network struct {
	mu      sync.Mutex
	wires   []*wire
	offline bool
	online  chan struct{} // closed by SetOffline(false); nil while online
	delay   time.Duration
}

// Dial connects to h. While the network is offline it waits.
func (n *Network) Dial(ctx context.Context, h *Host) (net.Conn, error) {
	for {
		n.mu.Lock()
		if !n.offline {
			w, client, server := newWire(n.delay)
			n.wires = append(slices.DeleteFunc(n.wires, (*wire).over), w)
			n.mu.Unlock()
			if !h.accept(w, server) {
				w.cut()
				return nil, wireError("dial", syscall.ECONNREFUSED)
			}
			return client, nil
		}
		online := n.online
		n.mu.Unlock()
		select {
		case <-online:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Cut breaks all connections.
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.wires {
		w.cut()
	}
	n.wires = nil
}

// SetOffline stops everything: bytes wait on their way, and so do dials.
func (n *Network) SetOffline(on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.offline == on {
		return
	}
	if n.offline = on; on {
		n.online = make(chan struct{})
	} else {
		close(n.online)
	}
	for _, w := range n.wires {
		w.hold(on)
	}
}

// SetDelay has each byte that is written from now on arrive d later.
func (n *Network) SetDelay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = d
	for _, w := range n.wires {
		w.slow(d)
	}
}
