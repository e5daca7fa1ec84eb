//go:build unix

package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// masterName is what the Sentinel of a test calls its master.
const masterName = "main"

// Sentinel is a Redis with a replica, and the Sentinel that watches them, for one test.
type Sentinel struct {
	t testing.TB
	// First is the master at the start, Second its replica; they change places by failover.
	First, Second *Redis
	watcher       *Redis
	cert          *Certificate // nil: all speak plainly
	tls           string       // the Sentinel's port for that
}

// StartSentinel starts a Sentinel that ends with the test and returns once a failover is possible.
// Args are appended to the command lines of both Redis. The test is skipped where redis-server is
// not installed, see [Need].
func StartSentinel(t testing.TB, args ...string) *Sentinel {
	t.Helper()
	return startSentinel(t, nil, func() []string { return args })
}

// StartTLSSentinel starts a Sentinel that speaks TLS, as both Redis do.
func StartTLSSentinel(t testing.TB, c Certificate) *Sentinel {
	t.Helper()
	return startSentinel(t, &c, func() []string { return c.args(t) })
}

func startSentinel(t testing.TB, cert *Certificate, args func() []string) *Sentinel {
	t.Helper()
	s := &Sentinel{t: t, cert: cert, First: StartRedis(t, append([]string{"--repl-diskless-sync-delay", "0"}, args()...)...)}
	s.Second = StartRedis(t, append([]string{"--replicaof", "127.0.0.1 " + s.First.clientPort()}, args()...)...)
	Until(t, "the replica to follow", func() bool { return s.Second.answers("master_link_status:up", "INFO", "replication") })
	s.watcher = startRedis(t, func(r *Redis) []string { return []string{s.write(r), "--sentinel"} }, "+monitor master")
	Until(t, "the Sentinel to know the replica", func() bool { return s.knows(s.Second) })
	return s
}

// write makes the file in which a Sentinel finds its settings and keeps what it learns.
func (s *Sentinel) write(r *Redis) string {
	file := filepath.Join(r.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n", r.port, r.dir)
	if s.cert != nil {
		s.tls = strconv.Itoa(FreePort(s.t))
		text += fmt.Sprintf("tls-port %s\ntls-cert-file %s\ntls-key-file %s\ntls-ca-cert-file %s\ntls-auth-clients no\ntls-replication yes\n",
			s.tls, s.cert.Cert, s.cert.Key, s.cert.Cert)
	}
	text += fmt.Sprintf("sentinel monitor %s 127.0.0.1 %s 1\n", masterName, s.First.clientPort()) +
		fmt.Sprintf("sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 5000\n", masterName, masterName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// knows tells whether the Sentinel takes r for a replica that may be promoted.
func (s *Sentinel) knows(r *Redis) bool {
	text := fmt.Sprint(s.watcher.Do("SENTINEL", "REPLICAS", masterName))
	return strings.Contains(text, r.clientPort()) && strings.Contains(text, "master-link-status ok") && !strings.Contains(text, "s_down")
}

// URL is how Sidereal is told of it.
func (s *Sentinel) URL() string {
	if s.cert != nil {
		return "rediss+sentinel://127.0.0.1:" + s.tls + "/" + masterName
	}
	return "redis+sentinel://" + s.watcher.Addr() + "/" + masterName
}

// Master is who is the master by the Sentinel's word.
func (s *Sentinel) Master() *Redis {
	s.t.Helper()
	if strings.Contains(fmt.Sprint(s.watcher.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)), s.Second.clientPort()) {
		return s.Second
	}
	return s.First
}

// Promoted returns when r is the master, which a Sentinel sees to by itself when the other is dead.
func (s *Sentinel) Promoted(r *Redis) {
	s.t.Helper()
	Until(s.t, "the Sentinel to promote the replica", func() bool { return s.Master() == r && r.answers("role:master", "INFO", "replication") })
}
