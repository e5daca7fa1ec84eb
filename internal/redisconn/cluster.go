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

// errNoOwner reports a slot that no known node serves.
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

// slotRange is a range of slots with one owner.
type slotRange struct {
	first, last int
	owner       string
}

func newClusterMap(seeds []string, connect func(addr string) *redis.Client) *clusterMap {
	return &clusterMap{seeds: seeds, connect: connect, clients: make(map[string]*redis.Client), moved: make(map[uint16]string)}
}

// node returns the client of an address. It dials at the first command.
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

// close closes all clients and waits for the requests that this ends.
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

// owner returns the address that serves a slot. Edition identifies the version of the map, for
// reload.
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

// ensure reads the map if there is none or if it's old.
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

// reload asks all nodes at once and believes the first that answers. Callers that saw the same
// edition fail share one round of requests.
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

// learn takes a node's answer. It closes the clients of nodes that left the cluster.
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

// follow learns from a MOVED who serves a slot. It reports whether err was a MOVED.
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

// reachable completes an address from a node's answer with the address under which that node was
// asked. A node may not know its own name, or only one that means itself.
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

// ping reports whether the cluster is there. One node that answers is enough; each call asks other
// nodes.
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

// Node returns the client of the node that serves a key or a channel of sharded pub/sub. Outside a
// cluster it returns the client of the one Redis. Like Client it doesn't retry; pass a MOVED to
// [Conn.Follow].
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

// Place names the node that serves a key, as far as is known. It's empty outside a cluster. It
// doesn't wait.
func (c *Conn) Place(key string) string {
	if c.cluster == nil {
		return ""
	}
	addr, _, _ := c.cluster.owner(slotOf(key))
	return addr
}

// AnyNode returns the client of one master of a cluster, the same every time, and another one than
// not if there is another. Outside a cluster it returns the client of the one Redis.
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

// Nodes returns the clients of all nodes of a cluster, replicas included. Outside a cluster it
// returns that of the one Redis.
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

// Follow learns from an error of a node, so that the next call of Node is right. A MOVED names the
// owner; after other errors of a node that can't help, Follow asks all nodes, for a second at most.
// It reports whether err was a MOVED.
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
