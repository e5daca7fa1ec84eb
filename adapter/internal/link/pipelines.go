package link

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// pipelines send a batch to Redis: one pipeline, but in a Redis Cluster one for each node that has
// to take some of it. Messages of one channel stay in order; messages of channels on different
// nodes have no order. Messages without a node of their own go through one node, which passes them
// on to all, in order.
type pipelines struct {
	conn  *redisconn.Conn
	form  Form
	usual *redis.Client // the node for messages without a node of their own
	list  []pipeline
	errs  []error

	mu      sync.Mutex                      // guards the rest
	patient map[*redis.Client]*redis.Client // by node: a connection that waits for answers
	waiting []*redis.Client                 // nodes that haven't answered yet
	ended   bool
}

// pipeline is a node, and which messages of the batch go there.
type pipeline struct {
	node *redis.Client
	at   []int
}

// send publishes a batch and returns the error of each message. The result is valid until the next
// call.
func (p *pipelines) send(ctx context.Context, batch []Message) []error {
	p.errs = append(p.errs[:0], make([]error, len(batch))...)
	p.assign(ctx, batch)
	if len(p.list) == 1 {
		p.sendTo(ctx, &p.list[0], batch)
	} else {
		var sending sync.WaitGroup
		for i := range p.list {
			sending.Go(func() { p.sendTo(ctx, &p.list[i], batch) })
		}
		sending.Wait()
	}
	for i := range p.list {
		p.followUp(ctx, &p.list[i])
	}
	return p.errs
}

// assign divides the batch among the nodes.
func (p *pipelines) assign(ctx context.Context, batch []Message) {
	for i := range p.list {
		p.list[i].at = p.list[i].at[:0]
	}
	p.list = p.list[:0]
	for i, m := range batch {
		node, err := p.nodeFor(ctx, p.form.NodeKey(m))
		if err != nil {
			p.errs[i] = err
			continue
		}
		to := p.pipeline(node)
		to.at = append(to.at, i)
	}
}

func (p *pipelines) nodeFor(ctx context.Context, key string) (node *redis.Client, err error) {
	if key != "" {
		return p.conn.Node(ctx, key)
	}
	if p.usual == nil {
		p.usual, err = p.conn.AnyNode(ctx, nil)
	}
	return p.usual, err
}

// pipeline finds the pipeline of a node or adds one. There are as many as a cluster has masters.
func (p *pipelines) pipeline(node *redis.Client) *pipeline {
	for i := range p.list {
		if p.list[i].node == node {
			return &p.list[i]
		}
	}
	if n := len(p.list); n < cap(p.list) {
		p.list = p.list[:n+1] // reuses the memory for indexes
		p.list[n].node = node
	} else {
		p.list = append(p.list, pipeline{node: node})
	}
	return &p.list[len(p.list)-1]
}

// connection returns the connection for messages to a node, whose answer is waited for until
// answered is called.
func (p *pipelines) connection(node *redis.Client) *redis.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, node)
	c := p.patient[node]
	if c == nil {
		c = redisconn.Patient(node)
		if p.patient == nil {
			p.patient = make(map[*redis.Client]*redis.Client)
		}
		if p.patient[node] = c; p.ended {
			_ = c.Close()
		}
	}
	return c
}

func (p *pipelines) answered(node *redis.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, node); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// waitingFor returns the nodes that haven't answered yet.
func (p *pipelines) waitingFor() []*redis.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.waiting)
}

// interrupt closes the connections to nodes, if still agrees, so that nothing waits for their
// answers any longer. Later messages get new connections.
func (p *pipelines) interrupt(nodes []*redis.Client, still func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !still() {
		return false
	}
	for _, node := range nodes {
		p.closeLocked(node)
	}
	return true
}

// end closes all connections. Nothing is sent afterwards.
func (p *pipelines) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for node := range p.patient {
		p.closeLocked(node)
	}
}

// drop closes the connection to a node that failed. The next attempt may find another node there.
func (p *pipelines) drop(node *redis.Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked(node)
}

func (p *pipelines) closeLocked(node *redis.Client) {
	if c := p.patient[node]; c != nil {
		_ = c.Close() // what waits there fails
		delete(p.patient, node)
	}
}

func (p *pipelines) sendTo(ctx context.Context, to *pipeline, batch []Message) {
	pipe := p.connection(to.node).Pipeline()
	for _, i := range to.at {
		p.form.Publish(ctx, pipe, batch[i])
	}
	cmds, _ := pipe.Exec(ctx)
	p.answered(to.node)
	for k, i := range to.at {
		p.errs[i] = cmds[k].Err()
	}
}

// followUp learns from the failures of one node which node to use next time.
func (p *pipelines) followUp(ctx context.Context, of *pipeline) {
	for _, i := range of.at {
		if how := Outcome(p.errs[i]); how != Away && how != uncertain {
			continue
		}
		if p.conn.Follow(ctx, of.node, p.errs[i]) {
			continue // another slot of the node may have moved elsewhere
		}
		p.drop(of.node)
		if of.node == p.usual {
			p.usual = nil
			if other, err := p.conn.AnyNode(ctx, of.node); err == nil {
				p.usual = other
			}
		}
		return
	}
}

// nodeWithin is how long a node of a cluster may take to count its subscribers. A slower one is
// frozen, cut off or busy.
const nodeWithin = 500 * time.Millisecond

// numSub counts the subscribers of channels. In a cluster each node counts its own; whole is false
// if some didn't answer in time. It fails if no node answers.
func (l *Link) numSub(ctx context.Context, channels []string) (total map[string]int64, whole bool, err error) {
	nodes, err := l.Conn.Nodes(ctx)
	if err != nil {
		return nil, false, err
	}
	if len(nodes) == 1 {
		total, err = l.form.NumSub(ctx, nodes[0], channels)
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
			count, failure := l.form.NumSub(ctx, node, channels)
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

// publishNow publishes on an ordinary channel at once, ahead of waiting messages. If a node of a
// cluster fails, it tries another.
func (l *Link) publishNow(ctx context.Context, channel string, payload []byte) {
	var node *redis.Client
	for range 2 {
		next, err := l.Conn.AnyNode(ctx, node)
		if err != nil || next == node || next.Publish(ctx, channel, payload).Err() == nil {
			return
		}
		node = next
	}
}
