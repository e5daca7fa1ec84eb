package socketiotest

import (
	"context"
	"net"
	"net/http"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// App sets an app up on a server. Its context ends with the test.
type App func(ctx context.Context, io *socketio.Server) error

// Server is a running server of the app under test. Restart replaces the embedded server and HTTP.
type Server struct {
	*socketio.Server
	// HTTP sends requests to the server, for pages of the app: to any host, by http.
	HTTP *http.Client

	t      testing.TB
	group  *group
	number int // in the group

	// Guarded by group.mu; nil while the server is down.
	host   *peer.Host
	member member
}

// Serve runs an app on a server until the test ends.
func Serve(t testing.TB, cfg socketio.Config, app App) *Server {
	t.Helper()
	return ServeCluster(t, 1, cfg, app)[0]
}

// ServeCluster runs an app on n servers that share clients and rooms, as on n hosts, until the test
// ends.
func ServeCluster(t testing.TB, n int, cfg socketio.Config, app App) []*Server {
	t.Helper()
	return Link{}.ServeCluster(t, n, cfg, app)
}

// Stop ends the server as an operator does: it closes its clients' connections, which reconnect to
// another server. Stop returns when all goroutines of the server have ended.
func (s *Server) Stop() {
	s.t.Helper()
	if host, _ := s.down(); host != nil {
		host.End()
		s.group.awaitEnd(s.number, host)
	}
}

// Kill ends the server as kill -9 does: connections break, the other servers notice after a while,
// and the app hears nothing of it on this server, not even OnDisconnect. Only handlers that are
// running go on, because a program can't end a part of itself.
func (s *Server) Kill() {
	s.t.Helper()
	if host, member := s.down(); host != nil {
		member.kill()
		host.Kill()
	}
}

// down marks the server as down, and returns what ran.
func (s *Server) down() (*peer.Host, member) {
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	host, member := s.host, s.member
	s.host, s.member = nil, nil
	return host, member
}

// Restart runs the app anew in the place of a server that was stopped or killed, or stops it first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.group.start(s)
	s.group.settle()
}

// Isolate cuts the server off from the others, as a server that has lost Redis: it serves its own
// clients, and keeps what is for the others for up to 30 seconds. Over streams, and with recovery
// on the Hub, it hears later what it missed; otherwise that is lost.
func (s *Server) Isolate() {
	s.t.Helper()
	s.link().isolate(s.t)
}

// Rejoin ends Isolate. It returns when the server hears the others again.
func (s *Server) Rejoin() {
	s.t.Helper()
	s.link().rejoin(s.t)
}

func (s *Server) link() member {
	s.t.Helper()
	s.group.mu.Lock()
	defer s.group.mu.Unlock()
	if s.member == nil {
		s.t.Fatalf("server %d is down", s.number)
	}
	return s.member
}

// Connect connects a client to a namespace, over WebSocket. auth is a value that encodes to a JSON
// object, or nil. A refusal ends the test: see Refused.
func (s *Server) Connect(namespace string, auth any) *Client {
	s.t.Helper()
	return s.ConnectWith(client.Config{Auth: auth, Transports: []string{client.WebSocket}}, namespace)
}

// ConnectWith is Connect with other options of the client, such as its transports. URL, Path and
// Dial are set. Unless they are set, too, waits before reconnections aren't random, so that a test
// always takes the same course.
func (s *Server) ConnectWith(cfg client.Config, namespace string) *Client {
	s.t.Helper()
	c := s.client(cfg, namespace)
	if err := c.connect(s.t.Context()); err != nil {
		s.t.Fatalf("%s: connect: %v%s", c.name, err, c.history())
	}
	return c
}

// Refused wants the connection to a namespace to be refused, and returns what the client was told.
func (s *Server) Refused(namespace string, auth any) *client.ConnectError {
	s.t.Helper()
	c := s.client(client.Config{Auth: auth, Transports: []string{client.WebSocket}}, namespace)
	err := c.connect(s.t.Context())
	refusal, ok := err.(*client.ConnectError)
	if !ok {
		s.t.Fatalf("%s: connect: got %v, want a refusal%s", c.name, err, c.history())
	}
	return refusal
}

func (s *Server) client(cfg client.Config, namespace string) *Client {
	s.t.Helper()
	network := new(peer.Network)
	return newClient(s, network, s.dial(cfg, network).Of(namespace), cfg.Auth)
}

// Dial makes a client of this server with options of its own, which the test's end closes: URL,
// Path and Dial are set. It does not connect yet, and has no expectations.
func (s *Server) Dial(cfg client.Config) *client.Client {
	s.t.Helper()
	return s.dial(cfg, new(peer.Network))
}

// dial makes a client that dials over network: this server or, while that is down, the next one, as
// through a load balancer.
func (s *Server) dial(cfg client.Config, network *peer.Network) *client.Client {
	s.t.Helper()
	at := s.number
	cfg.URL, cfg.Path = "http://server", s.group.cfg.Path
	cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		host := s.group.living(&at)
		if host == nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		return network.Dial(ctx, host)
	}
	if cfg.RandomizationFactor == 0 {
		cfg.RandomizationFactor = -1
	}
	c, err := client.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.group.await("a handler of the test's client", func() { _ = c.Close() }) // it returns nil
	})
	return c
}
