package redisserver

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// tickEvery is how often the clock of the embedded Redis advances. Each advance walks all keys
// to expire some. By itself miniredis does so at every command: with 10,000 sids a SET took 2 ms;
// it takes 31 µs now, round trip included.
const tickEvery = 50 * time.Millisecond

// Server is a Redis inside this process, for one host, a first try and tests. It forgets
// everything when it ends.
//
// Keys, scripts and transactions are miniredis's. Connections and pub/sub are ours ([peer],
// [pubsub]), for two reasons. Miniredis delivers messages of channels and of patterns on two
// goroutines, in any order, but a join before an emit relies on the order. And a subscriber that
// doesn't read stops miniredis for everybody.
type Server struct {
	m        *miniredis.Miniredis
	pubsub   *pubsub
	listener net.Listener
	password string
	running  sync.WaitGroup
	serving  sync.WaitGroup // peers and their writers

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

// Serve listens on addr and serves until ctx ends; then Wait returns. An empty addr chooses
// a free port of 127.0.0.1, an empty password a random one. TTLs follow the clock.
func Serve(ctx context.Context, addr, password string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("redisserver: embedded Redis: %w", err)
	}
	return ServeOn(ctx, l, password)
}

// ServeOn is Serve on a listener, which it closes. If a supervisor holds the
// listener, clients wait instead of failing while the embedded Redis restarts.
func ServeOn(ctx context.Context, l net.Listener, password string) (*Server, error) {
	if password == "" {
		password = rand.Text()
	}
	e := &Server{
		m:        miniredis.NewMiniRedis(),
		pubsub:   newPubsub(),
		listener: l,
		password: password,
		conns:    make(map[net.Conn]struct{}),
	}
	e.m.RequireAuth(password)
	e.m.ClockTTL(true)
	e.m.SetTime(time.Now())    // from here on the clock moves only in tick
	started, err := e.m.Dial() // its way to start without a listener of its own
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("redisserver: embedded Redis: %w", err)
	}
	started.Close()
	commands := e.m.Server()
	commands.SetPreHook(e.pubsub.answer)
	accepting := make(chan struct{})
	e.running.Go(func() {
		defer close(accepting)
		e.accept(commands)
	})
	e.running.Go(func() {
		e.tick(ctx)
		l.Close()
		<-accepting
		e.hangUp()
		e.m.CtxCancel() // ends commands that block, once something wakes them: any command does
		commands.Dispatch(server.NewPeer(bufio.NewWriter(io.Discard)), []string{"AUTH", password})
		e.serving.Wait()
		e.m.Close()
	})
	return e, nil
}

func (e *Server) accept(commands *server.Server) {
	for {
		c, err := e.listener.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		e.conns[c] = struct{}{}
		e.mu.Unlock()
		e.serving.Go(func() {
			newPeer(c, commands, e.pubsub, &e.serving).serve()
			e.mu.Lock()
			delete(e.conns, c)
			e.mu.Unlock()
		})
	}
}

// hangUp closes every connection, which ends its peer.
func (e *Server) hangUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.Close()
	}
}

func (e *Server) tick(ctx context.Context) {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			e.m.SetTime(now)
			e.m.Exists("") // any access lets the keys expire whose time has come
		}
	}
}

// URL returns the address with the password. Don't log it.
func (e *Server) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", e.password), Host: e.Addr()}
	return u.String()
}

// Addr returns the host:port that it listens on.
func (e *Server) Addr() string { return e.listener.Addr().String() }

// Wait returns when the server has ended and closed its connections.
func (e *Server) Wait() { e.running.Wait() }
