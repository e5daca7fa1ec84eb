package redisconn

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	askTimeout    = time.Second      // one node's answer about the cluster
	clusterMapAge = 10 * time.Second // what is known of the nodes is asked again after this long, when it matters
	nodesPinged   = 3                // nodes asked at a time whether the cluster is there
)

// errNoOwner reports a slot that no node serves, as far as is known.
var errNoOwner = errors.New("no node of the cluster serves the slot")

// clusterMap says which nodes a Redis Cluster has and which slots they serve. The library's cluster
// client has such a map too, but asks one node after the other. This one asks all nodes at once, so
// that a frozen node costs no time, and follows shard channels to their nodes.
type clusterMap struct {
	seeds   []string
	connect func(addr string) *redis.Client
	turn    atomic.Uint32  // which nodes are pinged next
	asking  sync.Mutex     // held while all nodes are asked
	asked   sync.WaitGroup // questions under way

	mu      sync.Mutex // guards the rest
	clients map[string]*redis.Client
	ranges  []slotRange       // by first
	masters []string          // sorted
	nodes   []string          // replicas too, sorted
	moved   map[uint16]string // owners told by MOVED since
	read    time.Time
	edition uint64
	closed  bool
}

// slotRange are slots of one owner.
type slotRange struct {
	first, last int
	owner       string
}

func newClusterMap(seeds []string, connect func(addr string) *redis.Client) *clusterMap {
	return &clusterMap{seeds: seeds, connect: connect, clients: make(map[string]*redis.Client), moved: make(map[uint16]string)}
}

// node is the client of an address. Dialling waits for the first command.
func (a *clusterMap) node(addr string) *redis.Client {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.clients[addr]
	if c == nil {
		c = a.connect(addr)
		if a.closed {
			_ = c.Close() // whoever asks now gets its error
			return c
		}
		a.clients[addr] = c
	}
	return c
}

// close closes all clients, and waits for the questions that this ends.
func (a *clusterMap) close() (err error) {
	defer a.asked.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, c := range a.clients {
		err = errors.Join(err, c.Close())
	}
	clear(a.clients)
	return err
}

// owner is who serves a slot. Edition names the knowledge that this comes from, for reload.
func (a *clusterMap) owner(slot uint16) (addr string, edition uint64, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.moved[slot]; ok {
		return addr, a.edition, true
	}
	i, found := slices.BinarySearchFunc(a.ranges, int(slot), func(r slotRange, slot int) int {
		if r.first <= slot && slot <= r.last {
			return 0
		}
		return cmp.Compare(r.first, slot)
	})
	if !found {
		return "", a.edition, false
	}
	return a.ranges[i].owner, a.edition, true
}

// ensure reads the map where there is none, or where it is old.
func (a *clusterMap) ensure(ctx context.Context, old time.Duration) error {
	a.mu.Lock()
	edition, fresh, known := a.edition, time.Since(a.read) < old, a.edition > 0
	a.mu.Unlock()
	if known && fresh {
		return nil
	}
	if err := a.reload(ctx, edition); err != nil && !known {
		return err
	}
	return nil // old knowledge is better than none
}

// reload asks all nodes at once, and believes the first that answers. Those who saw the same edition fail share one round
// of questions.
func (a *clusterMap) reload(ctx context.Context, seen uint64) error {
	a.asking.Lock()
	defer a.asking.Unlock()
	a.mu.Lock()
	known, done := slices.Concat(a.nodes, a.seeds), a.edition > seen
	a.mu.Unlock()
	if done {
		return nil
	}
	slices.Sort(known)
	known = slices.Compact(known)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	type reply struct {
		from string
		told []redis.ClusterSlot
		err  error
	}
	replies := make(chan reply, len(known))
	for _, addr := range known {
		a.asked.Go(func() {
			told, err := a.node(addr).ClusterSlots(ctx).Result() //lint:ignore SA1019 CLUSTER SHARDS is not in Redis 6
			if err == nil && len(told) == 0 {
				err = errNoOwner
			}
			replies <- reply{addr, told, err}
		})
	}
	var worst error
	for range known {
		r := <-replies
		if r.err == nil {
			a.learn(r.told, r.from)
			return nil
		}
		if err := Classify(r.err); worst == nil || !errors.Is(err, ErrUnreachable) {
			worst = err
		}
	}
	return worst
}

// learn takes what a node told. Clients of nodes that left the cluster are closed.
func (a *clusterMap) learn(told []redis.ClusterSlot, from string) {
	var ranges []slotRange
	var masters, nodes []string
	for _, s := range told {
		for i, n := range s.Nodes {
			addr := reachable(n.Addr, from)
			nodes = append(nodes, addr)
			if i == 0 {
				masters = append(masters, addr)
				ranges = append(ranges, slotRange{s.Start, s.End, addr})
			}
		}
	}
	slices.SortFunc(ranges, func(a, b slotRange) int { return cmp.Compare(a.first, b.first) })
	slices.Sort(masters)
	slices.Sort(nodes)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ranges, a.masters, a.nodes = ranges, slices.Compact(masters), slices.Compact(nodes)
	a.read = time.Now()
	a.edition++
	clear(a.moved)
	for addr, c := range a.clients {
		if !slices.Contains(a.nodes, addr) && !slices.Contains(a.seeds, addr) {
			_ = c.Close()
			delete(a.clients, addr)
		}
	}
}

// follow takes a node's word, in a MOVED, for who serves a slot. It tells whether err was that.
func (a *clusterMap) follow(err error, from string) (slot uint16, ok bool) {
	text, found := strings.CutPrefix(err.Error(), "MOVED ")
	if !found {
		return 0, false
	}
	number, addr, _ := strings.Cut(text, " ")
	n, bad := strconv.ParseUint(number, 10, 14)
	if bad != nil || addr == "" {
		return 0, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moved[uint16(n)] = reachable(addr, from)
	return uint16(n), true
}

// reachable completes an address that a node told by the one under which the node was asked: a node may not know its own
// name, or only one that means itself.
func reachable(addr, from string) string {
	host, port, err := net.SplitHostPort(addr)
	asked, _, failed := net.SplitHostPort(from)
	if err != nil || failed != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || host == "?" || ip.IsLoopback() && asked != "localhost" && !net.ParseIP(asked).IsLoopback() {
		host = asked
	}
	return net.JoinHostPort(host, port)
}

// ping tells whether the cluster is there: one node that answers is enough, and in each call others are asked.
func (a *clusterMap) ping(ctx context.Context) error {
	if err := a.ensure(ctx, time.Hour); err != nil {
		return err
	}
	a.mu.Lock()
	masters, edition := a.masters, a.edition
	a.mu.Unlock()
	first := int(a.turn.Add(nodesPinged))
	n := min(nodesPinged, len(masters))
	answers := make(chan error, n)
	soon, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for i := range n {
		c := a.node(masters[(first+i)%len(masters)])
		a.asked.Go(func() { answers <- c.Ping(soon).Err() })
	}
	for range n {
		if <-answers == nil {
			return nil
		}
	}
	return a.reload(ctx, edition)
}

// Node is the client of the node that serves a key, or a channel of sharded pub/sub. Outside a cluster it is the client of
// the one Redis. Like Client it does not retry; a MOVED that it answers with is for [Conn.Follow].
func (c *Conn) Node(ctx context.Context, key string) (*redis.Client, error) {
	if c.cluster == nil {
		return c.one, nil
	}
	if err := c.cluster.ensure(ctx, time.Hour); err != nil {
		return nil, err
	}
	addr, _, ok := c.cluster.owner(slotOf(key))
	if !ok {
		return nil, errors.Join(ErrUnreachable, errNoOwner)
	}
	return c.cluster.node(addr), nil
}

// AnyNode is the client of one master of a cluster, the same every time; of another than not, where there is another.
// Outside a cluster it is the client of the one Redis.
func (c *Conn) AnyNode(ctx context.Context, not *redis.Client) (*redis.Client, error) {
	if c.cluster == nil {
		return c.one, nil
	}
	if err := c.cluster.ensure(ctx, time.Hour); err != nil {
		return nil, err
	}
	c.cluster.mu.Lock()
	masters := c.cluster.masters
	c.cluster.mu.Unlock()
	i := c.place
	if not != nil {
		at, found := slices.BinarySearch(masters, not.Options().Addr)
		if i = at; found {
			i++
		}
	}
	return c.cluster.node(masters[i%len(masters)]), nil
}

// Nodes are the clients of all nodes of a cluster, replicas included; outside a cluster that of the one Redis.
func (c *Conn) Nodes(ctx context.Context) ([]*redis.Client, error) {
	if c.cluster == nil {
		return []*redis.Client{c.one}, nil
	}
	if err := c.cluster.ensure(ctx, clusterMapAge); err != nil {
		return nil, err
	}
	c.cluster.mu.Lock()
	addrs := c.cluster.nodes
	c.cluster.mu.Unlock()
	clients := make([]*redis.Client, len(addrs))
	for i, addr := range addrs {
		clients[i] = c.cluster.node(addr)
	}
	return clients, nil
}

// Follow notes what an error of a node says about who serves what, so that the next call of Node knows: a MOVED names the
// owner; after others that mean that the node cannot help, all nodes are asked. It waits for that, a second at most, and
// tells whether err was a MOVED.
func (c *Conn) Follow(ctx context.Context, node *redis.Client, err error) (moved bool) {
	if c.cluster == nil || err == nil {
		return false
	}
	if _, ok := c.cluster.follow(err, node.Options().Addr); ok {
		return true
	}
	if errors.Is(Classify(err), ErrUnreachable) {
		c.cluster.mu.Lock()
		edition := c.cluster.edition
		c.cluster.mu.Unlock()
		_ = c.cluster.reload(ctx, edition) // what is known stays
	}
	return false
}
