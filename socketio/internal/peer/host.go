// Package peer runs a server on in-memory connections and talks to it in raw packets, for tests: in a synctest
// bubble, too, since its connections are pipes.
package peer

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

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
	pipes *listener
}

// Serve runs a server with cfg until the test ends or Stop is called. setup registers what the app does, before the
// first client.
func Serve(t testing.TB, cfg socketio.Config, setup func(io *socketio.Server)) *Host {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if setup != nil {
		setup(io)
	}
	h := &Host{IO: io, t: t, pipes: &listener{conns: make(chan net.Conn), closed: make(chan struct{})}}
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
func (h *Host) DialContext(context.Context, string, string) (net.Conn, error) { return h.pipes.dial() }

// listener accepts net.Pipe connections.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *listener) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return a, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is a TCP address, as the server parses those.
func (l *listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
