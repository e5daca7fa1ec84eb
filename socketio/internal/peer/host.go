// Package peer runs a server on in-memory connections and talks to it in raw packets, for tests: in
// a synctest bubble, too. A test can break, stop and slow down the connections.
package peer

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/deaf"
)

// Host is a running server.
type Host struct {
	IO *socketio.Server
	// HTTP sends requests to the server.
	HTTP *http.Client

	network Network // of HTTP and of peers
	feed    *netio.Feed
	end     func()
	ended   chan struct{}

	t     testing.TB
	mu    sync.Mutex
	wires []*wire
}

// Serve runs a server with cfg until the test ends or Stop is called. setup registers what the app
// does, before the first client.
func Serve(t testing.TB, cfg socketio.Config, setup func(io *socketio.Server)) *Host {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if setup != nil {
		setup(io)
	}
	h := Start(t, io)
	t.Cleanup(h.Stop)
	return h
}

// Start runs a server until End is called.
func Start(t testing.TB, io *socketio.Server) *Host { return StartIn(context.Background(), t, io) }

// StartIn is Start with the context that the server's Run gets.
func StartIn(ctx context.Context, t testing.TB, io *socketio.Server) *Host {
	h := &Host{IO: io, t: t, feed: netio.NewFeed(address), ended: make(chan struct{})}
	transport := &http.Transport{DialContext: h.DialContext, DisableCompression: true}
	h.HTTP = &http.Client{Transport: transport}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	server := &http.Server{Handler: io, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state { // Server.Close doesn't wait for the connections
		case http.StateNew:
			running.Add(1)
		case http.StateClosed, http.StateHijacked:
			running.Done()
		}
	}}
	running.Go(func() { _ = server.Serve(h.feed) }) // until End
	running.Go(func() {
		if err := io.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	h.end = sync.OnceFunc(func() {
		cancel()
		transport.CloseIdleConnections()
		_ = server.Close() // of the feed, which doesn't fail
		go func() {
			running.Wait()
			close(h.ended)
		}()
	})
	return h
}

// End ends the server, as a signal does. It doesn't wait.
func (h *Host) End() { h.end() }

// Ended returns a channel that is closed when all goroutines of the server have ended.
func (h *Host) Ended() <-chan struct{} { return h.ended }

// Stop ends the server and waits until it has ended. It may be called again.
func (h *Host) Stop() {
	h.end()
	<-h.ended
}

// Kill ends the server as kill -9 does, as far as others can tell: all connections end, and the app
// hears nothing of it. Handlers that are running go on. It doesn't wait.
func (h *Host) Kill() {
	deaf.Make(h.IO)
	_ = h.feed.Close() // never fails
	h.mu.Lock()
	wires := h.wires
	h.wires = nil
	h.mu.Unlock()
	for _, w := range wires {
		w.hangUp()
	}
	h.end()
}

// DialContext connects to the server, whatever the address.
func (h *Host) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return h.network.Dial(ctx, h)
}

// accept hands a connection to the server. It returns false if the server has ended.
func (h *Host) accept(w *wire, conn net.Conn) bool {
	h.mu.Lock()
	h.wires = append(slices.DeleteFunc(h.wires, (*wire).over), w)
	h.mu.Unlock()
	return h.feed.Give(conn)
}
