package socketiotest

import (
	"context"
	"net/http"
	"testing"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// App sets an app up on a server. Its context ends with the test.
type App func(ctx context.Context, io *socketio.Server) error

// Server is a running server of the app under test.
type Server struct {
	*socketio.Server
	// HTTP sends requests to the server, for pages of the app: to any host, by http.
	HTTP *http.Client

	t    testing.TB
	host *peer.Host
	path string
}

// Serve runs an app on a server until the test ends.
func Serve(t testing.TB, cfg socketio.Config, app App) *Server {
	t.Helper()
	var err error
	host := peer.Serve(t, cfg, func(io *socketio.Server) { err = app(t.Context(), io) })
	if err != nil {
		t.Fatalf("the app cannot be set up: %v", err)
	}
	return &Server{Server: host.IO, HTTP: host.HTTP, t: t, host: host, path: cfg.Path}
}

// ServeCluster runs an app on n servers that share clients and rooms, as on n hosts, until the test
// ends.
func ServeCluster(t testing.TB, n int, cfg socketio.Config, app App) []*Server {
	t.Helper()
	cfg.Adapter = cluster.NewHub()
	servers := make([]*Server, n)
	for i := range servers {
		servers[i] = Serve(t, cfg, app)
	}
	return servers
}

// Stop ends the server before the test does: its clients lose their connection. It returns when all
// goroutines of the server have ended.
func (s *Server) Stop() { s.host.Stop() }

// Connect connects a client to a namespace, over WebSocket. auth is a value that encodes to a JSON
// object, or nil. A refusal ends the test: see Refused.
func (s *Server) Connect(namespace string, auth any) *Client {
	s.t.Helper()
	c := s.client(namespace, auth)
	if err := c.Socket.Connect(s.t.Context()); err != nil {
		s.t.Fatalf("connect to %s: %v", namespace, err)
	}
	return c
}

// Refused wants the connection to a namespace to be refused, and returns what the client was told.
func (s *Server) Refused(namespace string, auth any) *client.ConnectError {
	s.t.Helper()
	err := s.client(namespace, auth).Socket.Connect(s.t.Context())
	refusal, ok := err.(*client.ConnectError)
	if !ok {
		s.t.Fatalf("connect to %s: got %v, want a refusal", namespace, err)
	}
	return refusal
}

func (s *Server) client(namespace string, auth any) *Client {
	s.t.Helper()
	cfg := client.Config{Auth: auth, Transports: []string{client.WebSocket}, NoReconnection: true}
	return newClient(s.t, s.Dial(cfg).Of(namespace))
}

// Dial makes a client of this server with options of its own, which the test's end closes: URL,
// Path and Dial are set. It does not connect yet.
func (s *Server) Dial(cfg client.Config) *client.Client {
	s.t.Helper()
	cfg.URL, cfg.Path, cfg.Dial = "http://server", s.path, s.host.DialContext
	c, err := client.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}
