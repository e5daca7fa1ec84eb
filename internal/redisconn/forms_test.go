package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// sentinelFor answers as a Redis Sentinel whose only master is the Redis at addr.
func sentinelFor(t *testing.T, master, addr string) *server.Server {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	answers := map[string]server.Cmd{
		"SENTINEL": func(c *server.Peer, _ string, args []string) {
			switch {
			case args[0] != "get-master-addr-by-name":
				c.WriteLen(0) // no other sentinels, no replicas
			case args[1] == master:
				c.WriteStrings([]string{host, port})
			default:
				c.WriteNull()
			}
		},
		"SUBSCRIBE": func(c *server.Peer, _ string, args []string) {
			for i, channel := range args {
				c.WritePushLen(3)
				c.WriteBulk("subscribe")
				c.WriteBulk(channel)
				c.WriteInt(i + 1)
			}
		},
		"PING": func(c *server.Peer, _ string, _ []string) { c.WriteInline("PONG") },
	}
	for name, answer := range answers {
		if err := s.Register(name, answer); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSentinelNamesTheMaster(t *testing.T) {
	m := testkit.MiniRedis(t)
	m.RequireAuth("right")
	s := sentinelFor(t, "main", m.Addr())
	gone := testkit.FreePort(t) // of several sentinels one is enough
	ctx := context.Background()
	url := "redis+sentinel://:right@127.0.0.1:" + strconv.Itoa(gone) + "," + s.Addr().String() + "/main"
	c := open(t, Config{URL: url})
	if err := c.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Client().Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Get("k"); got != "v" || err != nil {
		t.Errorf("the master has %q, %v", got, err)
	}
	l := listen(t, c, SubConfig{Channels: []string{"a"}})
	testkit.Receive(t, "up", l.Ups)
	m.Publish("a", "1")
	l.Expect(t, "a", "1")

	other := open(t, Config{URL: "redis+sentinel://" + s.Addr().String() + "/nobody"})
	if err := other.Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a master that no sentinel knows: %v", err)
	}
}

func TestSentinelFailoverIsFollowed(t *testing.T) {
	s := testkit.StartSentinel(t)
	c := open(t, Config{URL: s.URL()})
	testkit.Run(t, c.Run)
	testkit.Await(t, "Redis", c.Changed, c.Up)
	l := listen(t, c, SubConfig{Channels: []string{"a"}})
	testkit.Receive(t, "up", l.Ups)
	s.First.Kill()
	testkit.Receive(t, "down", l.Downs)
	s.Promoted(s.Second)
	testkit.Receive(t, "up again", l.Ups)
	testkit.Await(t, "Redis again", c.Changed, c.Up)
	if err := c.Client().Publish(t.Context(), "a", "to the new master").Err(); err != nil {
		t.Fatal(err)
	}
	l.Expect(t, "a", "to the new master")
	if got := c.one.ConfigGet(t.Context(), "port").Val()["port"]; "127.0.0.1:"+got != s.Second.Addr() {
		t.Errorf("connected to port %s, want that of %s", got, s.Second.Addr())
	}
}

// TestRealRedisOverTLS has a Redis that wants to be shown a certificate.
func TestRealRedisOverTLS(t *testing.T) {
	serverCert, serverKey, _ := identity(t)
	clientCert, clientKey, _ := identity(t)
	port := strconv.Itoa(testkit.FreePort(t))
	r := testkit.StartRedis(t, "--tls-port", port, "--tls-cert-file", serverCert, "--tls-key-file", serverKey, "--tls-ca-cert-file", clientCert)
	url := "rediss://127.0.0.1:" + port
	c := open(t, Config{URL: url, CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey})
	l := listen(t, c, SubConfig{Channels: []string{"a"}})
	testkit.Receive(t, "up", l.Ups)
	r.Do("PUBLISH", "a", "1")
	l.Expect(t, "a", "1")
	if err := open(t, Config{URL: url, CAFile: serverCert}).Check(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no certificate shown: %v", err)
	}
	if err := open(t, Config{URL: url}).Check(t.Context()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an unknown authority: %v", err)
	}
}

// identity is a certificate for 127.0.0.1 that signs itself, in files and as a value.
func identity(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	c := testkit.NewCertificate(t)
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c.Cert, c.Key, pair
}

func TestTLSShowsAndChecksCertificates(t *testing.T) {
	serverCert, _, serverPair := identity(t)
	clientCert, clientKey, clientPair := identity(t)
	clients := x509.NewCertPool()
	clients.AddCert(clientPair.Leaf)
	m, err := miniredis.RunTLS(&tls.Config{
		Certificates: []tls.Certificate{serverPair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	ctx := context.Background()
	url := "rediss://" + m.Addr()
	if err := open(t, Config{URL: url, CAFile: serverCert, CertFile: clientCert, KeyFile: clientKey}).Check(ctx); err != nil {
		t.Errorf("right certificates: %v", err)
	}
	if err := open(t, Config{URL: url, CAFile: serverCert}).Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("none shown: %v", err)
	}
	if err := open(t, Config{URL: url, CAFile: clientCert, CertFile: clientCert, KeyFile: clientKey}).Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Redis's does not descend from the CA: %v", err)
	}
}
