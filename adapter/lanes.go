package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// lanes are the ways to Redis. There is one, but in a cluster shard channels go to the nodes that serve them: messages of
// one channel stay in order, and those of channels on different nodes have none. Everything else goes through one node of a
// cluster, which passes it on to all, in order.
type lanes struct {
	usual *redis.Client // the node for what any node passes on
	list  []lane
	errs  []error

	mu      sync.Mutex                      // guards the rest
	patient map[*redis.Client]*redis.Client // by node: a connection that waits for answers
	ended   bool
}

// lane is a node, and which messages of the batch it gets.
type lane struct {
	node *redis.Client
	at   []int
}

// send publishes a batch and returns what became of each message. The result is valid until the next call.
func (l *lanes) send(ctx context.Context, conn *redisconn.Conn, f form, batch []message) []error {
	l.errs = append(l.errs[:0], make([]error, len(batch))...)
	l.assign(ctx, conn, f, batch)
	if len(l.list) == 1 {
		l.sendOn(ctx, &l.list[0], f, batch)
	} else {
		var sending sync.WaitGroup
		for i := range l.list {
			sending.Go(func() { l.sendOn(ctx, &l.list[i], f, batch) })
		}
		sending.Wait()
	}
	for i := range l.list {
		l.followUp(ctx, conn, &l.list[i])
	}
	return l.errs
}

// assign parts the batch among the nodes.
func (l *lanes) assign(ctx context.Context, conn *redisconn.Conn, f form, batch []message) {
	for i := range l.list {
		l.list[i].at = l.list[i].at[:0]
	}
	l.list = l.list[:0]
	for i, m := range batch {
		node, err := l.nodeFor(ctx, conn, f.place(m))
		if err != nil {
			l.errs[i] = err
			continue
		}
		to := l.lane(node)
		to.at = append(to.at, i)
	}
}

func (l *lanes) nodeFor(ctx context.Context, conn *redisconn.Conn, place string) (node *redis.Client, err error) {
	if place != "" {
		return conn.Node(ctx, place)
	}
	if l.usual == nil {
		l.usual, err = conn.AnyNode(ctx, nil)
	}
	return l.usual, err
}

// lane finds the lane of a node, or opens it. There are as many as a cluster has masters.
func (l *lanes) lane(node *redis.Client) *lane {
	for i := range l.list {
		if l.list[i].node == node {
			return &l.list[i]
		}
	}
	if n := len(l.list); n < cap(l.list) {
		l.list = l.list[:n+1] // with the room for indexes that it had
		l.list[n].node = node
	} else {
		l.list = append(l.list, lane{node: node})
	}
	return &l.list[len(l.list)-1]
}

// connection is the one over which a node is sent messages.
func (l *lanes) connection(node *redis.Client) *redis.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.patient[node]
	if c == nil {
		c = redisconn.Patient(node)
		if l.patient == nil {
			l.patient = make(map[*redis.Client]*redis.Client)
		}
		if l.patient[node] = c; l.ended {
			_ = c.Close()
		}
	}
	return c
}

// interrupt closes the connections if still says so, and nothing waits for an answer any more.
// Later messages have others.
func (l *lanes) interrupt(still func() bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !still() {
		return false
	}
	for _, c := range l.patient {
		_ = c.Close()
	}
	clear(l.patient)
	return true
}

// end is interrupt, and nothing is sent afterwards.
func (l *lanes) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.interrupt(func() bool { return true })
}

// drop closes the connection to a node that failed, which may be another by the next time.
func (l *lanes) drop(node *redis.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.patient[node]; c != nil {
		_ = c.Close()
		delete(l.patient, node)
	}
}

func (l *lanes) sendOn(ctx context.Context, to *lane, f form, batch []message) {
	pipe := l.connection(to.node).Pipeline()
	for _, i := range to.at {
		f.publish(ctx, pipe, batch[i])
	}
	cmds, _ := pipe.Exec(ctx)
	for k, i := range to.at {
		l.errs[i] = cmds[k].Err()
	}
}

// followUp learns from what a node could not do who can.
func (l *lanes) followUp(ctx context.Context, conn *redisconn.Conn, of *lane) {
	for _, i := range of.at {
		if what := outcome(l.errs[i]); what != away && what != uncertain {
			continue
		}
		if conn.Follow(ctx, of.node, l.errs[i]) {
			continue // another slot of the node may have gone elsewhere
		}
		l.drop(of.node)
		if of.node == l.usual {
			l.usual = nil
			if other, err := conn.AnyNode(ctx, of.node); err == nil {
				l.usual = other
			}
		}
		return
	}
}

// nodeWithin is how long a node of a cluster has to say who is subscribed there. One that takes longer is frozen, cut off,
// or busy.
const nodeWithin = 500 * time.Millisecond

// numSub counts the subscribers of channels; in a cluster each node knows its own, and it is not whole where some did not
// answer in time. It fails if none does.
func (r *Redis) numSub(ctx context.Context, channels []string) (total map[string]int64, whole bool, err error) {
	nodes, err := r.conn.Nodes(ctx)
	if err != nil {
		return nil, false, err
	}
	if len(nodes) == 1 {
		total, err = r.form.numSub(ctx, nodes[0], channels)
		return total, err == nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, nodeWithin)
	defer cancel()
	var (
		asked    sync.WaitGroup
		mu       sync.Mutex
		answered int
	)
	total = make(map[string]int64, len(channels))
	for _, node := range nodes {
		asked.Go(func() {
			count, failure := r.form.numSub(ctx, node, channels)
			mu.Lock()
			defer mu.Unlock()
			if failure != nil {
				err = failure
				return
			}
			answered++
			for channel, n := range count {
				total[channel] += n
			}
		})
	}
	asked.Wait()
	if answered == 0 {
		return nil, false, err
	}
	return total, answered == len(nodes), nil
}

// tellAll publishes at once on an ordinary channel, past what may be waiting. Where a node of a cluster fails, another is
// tried.
func (r *Redis) tellAll(ctx context.Context, channel string, payload []byte) {
	var node *redis.Client
	for range 2 {
		next, err := r.conn.AnyNode(ctx, node)
		if err != nil || next == node || next.Publish(ctx, channel, payload).Err() == nil {
			return
		}
		node = next
	}
}
