//go:build unix

package testkit

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

const (
	clusterShards = 3
	clusterSlots  = 16384
	// clusterTimeout is after how many ms without a sign of life a node is taken to fail: Redis's
	// default, since a busy machine keeps a node waiting for seconds.
	clusterTimeout = "15000"
)

// Cluster is a Redis Cluster of one test: three masters, each with a replica.
type Cluster struct {
	t testing.TB
	// Nodes are the masters, then their replicas in the same order, as they were at the start.
	Nodes []*Redis
}

// StartCluster starts a Cluster that ends with the test and returns once all its nodes agree on it.
// Args are appended to each node's command line. The test is skipped where redis-server is not
// installed, see [Need].
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, func() []string { return args })
}

// StartTLSCluster starts a Cluster whose nodes speak TLS with each other, and on a port of its own
// with clients.
func StartTLSCluster(t testing.TB, c Certificate) *Cluster {
	t.Helper()
	return startCluster(t, func() []string { return append(c.args(t), "--tls-cluster", "yes") })
}

func startCluster(t testing.TB, args func() []string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 2 * clusterShards {
		c.Nodes = append(c.Nodes, startRedis(t, func(r *Redis) []string {
			return append(r.with(
				"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(FreePort(t)), "--cluster-node-timeout", clusterTimeout,
				"--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no",
				"--cluster-replica-no-failover", "yes", // tests promote replicas themselves, however long they take
				"--repl-diskless-sync-delay", "0",
			), args()...)
		}, serves))
	}
	c.meet()
	for i, r := range c.Nodes[clusterShards:] {
		r.Do("CLUSTER", "REPLICATE", c.Nodes[i].id())
	}
	for _, r := range c.Nodes[clusterShards:] {
		Until(t, "a replica to follow", func() bool { return r.answers("master_link_status:up", "INFO", "replication") })
	}
	c.Settle()
	return c
}

// meet gives the masters their slots and makes all nodes know each other.
func (c *Cluster) meet() {
	for i, r := range c.Nodes {
		r.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < clusterShards {
			r.Do("CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/clusterShards, (i+1)*clusterSlots/clusterShards-1)
		}
		for _, other := range c.Nodes[:i] {
			r.Do("CLUSTER", "MEET", "127.0.0.1", other.port, other.busPort())
		}
	}
	for _, r := range c.Nodes {
		Until(c.t, "the nodes to meet", func() bool {
			text, _ := r.Do("CLUSTER", "NODES").(string)
			return strings.Count(text, "\n") == len(c.Nodes) && !strings.Contains(text, "handshake") && !strings.Contains(text, "disconnected")
		})
	}
}

// Settle returns when every node that runs takes all slots to be served.
func (c *Cluster) Settle() {
	c.t.Helper()
	for _, r := range c.Nodes {
		if r.cmd != nil {
			Until(c.t, "the cluster to serve", func() bool { return r.answers("cluster_state:ok", "CLUSTER", "INFO") })
		}
	}
}

// URL is how Sidereal is told of it: by all its nodes, of which each may be dead.
func (c *Cluster) URL() string {
	addrs, scheme := make([]string, len(c.Nodes)), "redis"
	for i, r := range c.Nodes {
		addrs[i] = r.Addr()
		if port := r.option("--tls-port"); port != "" {
			addrs[i], scheme = "127.0.0.1:"+port, "rediss"
		}
	}
	return scheme + "+cluster://" + strings.Join(addrs, ",")
}

// Owner is the node that serves key, or a channel of that name, by the word of the first node that
// runs.
func (c *Cluster) Owner(key string) *Redis {
	c.t.Helper()
	for _, r := range c.Nodes {
		if r.cmd == nil {
			continue
		}
		slot := r.slot(key)
		ranges, _ := r.Do("CLUSTER", "SLOTS").([]any)
		for _, entry := range ranges {
			e := entry.([]any)
			if e[0].(int64) <= slot && slot <= e[1].(int64) {
				return c.at(e[2].([]any)[1].(int64))
			}
		}
	}
	c.t.Fatalf("nobody serves %s", key)
	return nil
}

// Replica is the replica of a master, as they were at the start.
func (c *Cluster) Replica(master *Redis) *Redis {
	c.t.Helper()
	for i, r := range c.Nodes[:clusterShards] {
		if r == master {
			return c.Nodes[i+clusterShards]
		}
	}
	c.t.Fatal("not one of the first masters")
	return nil
}

// Promote has the replica of one of the first masters, which is dead, take its place, and returns
// when all nodes know.
func (c *Cluster) Promote(dead *Redis) {
	c.t.Helper()
	heir := c.Replica(dead)
	heir.Do("CLUSTER", "FAILOVER", "TAKEOVER")
	Until(c.t, "a replica to be promoted", func() bool { return heir.answers("role:master", "INFO", "replication") })
	for _, r := range c.Nodes {
		if r.cmd == nil {
			continue
		}
		Until(c.t, "the nodes to know of it", func() bool {
			text, _ := r.Do("CLUSTER", "NODES").(string)
			for line := range strings.Lines(text) {
				if strings.Contains(line, heir.Addr()) {
					return strings.Contains(line, "master") && strings.Count(line, " ") > 7
				}
			}
			return false
		})
	}
	c.Settle()
}

// Other is a master, as they were at the start, that is none of those.
func (c *Cluster) Other(than ...*Redis) *Redis {
	c.t.Helper()
next:
	for _, r := range c.Nodes[:clusterShards] {
		for _, other := range than {
			if r == other {
				continue next
			}
		}
		return r
	}
	c.t.Fatal("there is no other master")
	return nil
}

// Move gives the slot of key, which must hold no keys, to another master. It returns when all nodes
// know, except those that do not run.
func (c *Cluster) Move(key string, to *Redis) {
	c.t.Helper()
	slot := to.slot(key)
	from := c.Owner(key)
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id())
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id())
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", to.id())
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", to.id())
	for _, r := range c.Nodes {
		if r.cmd == nil {
			continue
		}
		Until(c.t, "the nodes to know of a moved slot", func() bool {
			_, err := r.try("GET", key)
			return r == to && err.Error() == "redis: nil" || err != nil && strings.Contains(err.Error(), to.Addr())
		})
	}
}

func (c *Cluster) at(port int64) *Redis {
	for _, r := range c.Nodes {
		if int64(r.port) == port {
			return r
		}
	}
	c.t.Fatalf("no node on port %d", port)
	return nil
}

func (r *Redis) id() string { return fmt.Sprint(r.Do("CLUSTER", "MYID")) }

func (r *Redis) slot(key string) int64 { return r.Do("CLUSTER", "KEYSLOT", key).(int64) }

// busPort is the port on which the nodes of a cluster talk to it.
func (r *Redis) busPort() string { return r.option("--cluster-port") }

// option is the value that its command line gives to an option; empty: none.
func (r *Redis) option(name string) string {
	for i, arg := range r.last {
		if arg == name {
			return r.last[i+1]
		}
	}
	return ""
}
