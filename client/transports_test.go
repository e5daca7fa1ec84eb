package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
)

// startApp starts a server of ours behind one that start makes of its handler.
func startApp(t *testing.T, events func(io *socketio.Server), start func(http.Handler) *httptest.Server) *httptest.Server {
	t.Helper()
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	events(io)
	var wg sync.WaitGroup
	ctx, stop := contextOf(t)
	wg.Go(func() { io.Run(ctx) })
	server := start(io)
	t.Cleanup(func() {
		stop()
		wg.Wait()
		server.Close()
	})
	return server
}

func TestTLS(t *testing.T) {
	server := startApp(t, func(io *socketio.Server) {
		io.On("echo", func(args socketio.Args) (socketio.Args, error) { return args, nil })
	}, httptest.NewTLSServer)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	for name, transports := range map[string][]string{"polling": {client.Polling}, "websocket": {client.WebSocket}} {
		t.Run(name, func(t *testing.T) {
			cfg := client.Config{URL: server.URL, Transports: transports, TLS: &tls.Config{RootCAs: pool}, NoReconnection: true}
			s := newClient(t, cfg).Of("/")
			connect(t, s)
			long := make([]byte, 100_000)
			if got := ask[[]byte](t, s, "echo", long); len(got) != len(long) {
				t.Errorf("%d bytes", len(got))
			}
			cfg.TLS = nil
			if err := newClient(t, cfg).Of("/").Connect(t.Context()); !errors.As(err, new(*tls.CertificateVerificationError)) {
				t.Errorf("unknown authority: %v", err)
			}
		})
	}
}

func TestRememberUpgrade(t *testing.T) {
	server := startApp(t, func(io *socketio.Server) {
		io.On("cut", func() {
			for session := range io.Engine().Sessions() {
				session.Close()
			}
		})
	}, httptest.NewServer)
	transports := make(chan string, 4)
	s := newClient(t, client.Config{
		URL: server.URL, RememberUpgrade: true, ReconnectionDelay: time.Millisecond,
		OnTransport: func(name string) { transports <- name },
	}).Of("/")
	connect(t, s)
	got := []string{next(t, transports, "polling"), next(t, transports, "the upgrade")}
	s.Emit("cut")
	got = append(got, next(t, transports, "the reconnection"))
	if want := []string{client.Polling, client.WebSocket, client.WebSocket}; !slices.Equal(got, want) {
		t.Errorf("transports %v, want %v", got, want)
	}
}

func TestTryAllTransports(t *testing.T) {
	server := startApp(t, func(*socketio.Server) {}, httptest.NewServer)
	cfg := client.Config{URL: server.URL, HTTP: &http.Client{Transport: answers{status: 503}}, NoReconnection: true}
	if err := newClient(t, cfg).Of("/").Connect(t.Context()); err == nil {
		t.Error("connected without TryAllTransports")
	}
	cfg.TryAllTransports = true
	c := newClient(t, cfg)
	connect(t, c.Of("/"))
	if got := c.Transport(); got != client.WebSocket {
		t.Errorf("transport %q", got)
	}
}

// TestPollingRequestsAreNumbered: each request of a session has a t of its own, the handshake
// included, so that servers recognise repeated ones. WebSockets have none.
func TestPollingRequestsAreNumbered(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]bool)
	server := startApp(t, func(io *socketio.Server) {
		io.On("echo", func(s string) string { return s })
	}, func(h http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			mu.Lock()
			if number := q.Get("t"); q.Get("transport") == client.Polling && (number == "" || seen[number]) ||
				q.Get("transport") == client.WebSocket && number != "" {
				t.Errorf("%s %s: t is missing or used", r.Method, r.URL)
			} else {
				seen[number] = true
			}
			mu.Unlock()
			h.ServeHTTP(w, r)
		}))
	})
	for _, transport := range []string{client.Polling, client.WebSocket} {
		c := newClient(t, client.Config{URL: server.URL, Transports: []string{transport}})
		connect(t, c.Of("/"))
		for range 3 {
			if _, err := c.Of("/").EmitWithAck(t.Context(), "echo", "x"); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	if len(seen) < 8 {
		t.Errorf("%d requests were seen", len(seen))
	}
}

func TestRefusedHandshake(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		if r.Header.Get("Upgrade") == "" {
			w.Write([]byte(`{"code":4,"message":"Forbidden"}`))
		} else {
			w.Write([]byte("Forbidden"))
		}
	}))
	defer server.Close()
	for transport, code := range map[string]int{client.Polling: 4, client.WebSocket: -1} {
		c := newClient(t, client.Config{URL: server.URL, Transports: []string{transport}, NoReconnection: true})
		var refused *client.RefusedError
		err := c.Of("/").Connect(t.Context())
		if !errors.As(err, &refused) || refused.Status != 403 || refused.Code != code || refused.Message != "Forbidden" {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

func TestCookiesGoWithWebSockets(t *testing.T) {
	got := make(chan string, 2)
	server := startApp(t, func(io *socketio.Server) {
		io.OnConnect(func(s *socketio.Socket) { got <- s.Request().Header.Get("Cookie") })
	}, func(h http.Handler) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("transport") == client.Polling && r.Method == http.MethodGet {
				http.SetCookie(w, &http.Cookie{Name: "lb", Value: "a", Path: "/"})
			}
			h.ServeHTTP(w, r)
		}))
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	own := &http.Transport{}
	defer own.CloseIdleConnections()
	for _, transport := range []string{client.Polling, client.WebSocket} {
		c := newClient(t, client.Config{URL: server.URL, Transports: []string{transport}, HTTP: &http.Client{Jar: jar, Transport: own}})
		connect(t, c.Of("/"))
		want := map[string]string{client.Polling: "", client.WebSocket: "lb=a"}[transport]
		if cookie := next(t, got, "the connection"); cookie != want {
			t.Errorf("%s: cookie %q, want %q", transport, cookie, want)
		}
		c.Close()
	}
}
