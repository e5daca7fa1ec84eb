package socketiotest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy carries one server's connections to Redis, so that a test can break them.
type proxy struct {
	listener net.Listener
	redis    string // host:port
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool // connections are refused
	conns  map[net.Conn]bool
}

func newProxy(t testing.TB, redis string) *proxy {
	t.Helper()
	if _, _, err := net.SplitHostPort(redis); err != nil {
		redis = net.JoinHostPort(redis, "6379")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, redis: redis, conns: make(map[net.Conn]bool)}
	p.running.Go(p.run)
	t.Cleanup(func() {
		_ = l.Close() // run ends in any case
		p.shut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) run() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.relay(client) })
	}
}

func (p *proxy) relay(client net.Conn) {
	defer p.leave(client)
	if !p.enter(client) {
		return
	}
	server, err := net.Dial("tcp", p.redis)
	if err != nil {
		return
	}
	defer p.leave(server)
	if !p.enter(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server) // the end of either side ends both
		p.leave(client)
	})
	_, _ = io.Copy(server, client)
	p.leave(server)
	back.Wait()
}

// enter notes a connection, unless the proxy is shut.
func (p *proxy) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *proxy) leave(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close() // it is over
}

// shut breaks all connections, and new ones.
func (p *proxy) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close() // relay notices
	}
}

// open lets connections through again.
func (p *proxy) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
}
