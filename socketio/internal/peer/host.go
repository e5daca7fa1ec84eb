// Package peer runs a server on in-memory connections and talks to it in raw packets, for tests: in
// a synctest bubble, too, since its connections are pipes.
package peer

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/socketio"
)

// Host is a running server.
type Host struct {
	IO *socketio.Server
	// HTTP sends requests to the server.
	HTTP *http.Client
	// Stop ends the server and waits until it has ended. It may be called again.
	Stop func()

	t     testing.TB
	pipes *netio.Feed
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
	h := &Host{IO: io, t: t, pipes: netio.NewFeed(address)}
	transport := &http.Transport{
		DialContext:        h.DialContext,
		DisableCompression: true,
	}
	h.HTTP = &http.Client{Transport: transport}
	server := &http.Server{Handler: io}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Serve(h.pipes) })
	running.Go(func() {
		if err := io.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	h.Stop = sync.OnceFunc(func() {
		cancel()
		transport.CloseIdleConnections()
		server.Close()
		running.Wait()
	})
	t.Cleanup(h.Stop)
	return h
}

// DialContext connects to the server, whatever the address.
func (h *Host) DialContext(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	if !h.pipes.Give(server) {
		return nil, net.ErrClosed
	}
	return client, nil
}

// address is a TCP address, because the server parses those.
var address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
