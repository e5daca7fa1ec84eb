package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// Blocking makes a client for commands that block up to wait: with a connection of its own, so that others don't queue
// behind it. It is the caller's to close, which also ends a command that blocks.
func (c *Conn) Blocking(wait time.Duration) redis.UniversalClient {
	opt := c.options
	opt.ReadTimeout += wait
	opt.PoolSize = 1
	return newClient(c.target.form, &opt)
}

func newClient(f form, opt *redis.UniversalOptions) redis.UniversalClient {
	switch f {
	case cluster:
		of := opt.Cluster()
		of.ClusterStateReloadInterval = clusterMapAge
		return redis.NewClusterClient(of)
	case sentinel:
		return redis.NewFailoverClient(opt.Failover())
	}
	return redis.NewClient(opt.Simple())
}

// Patient makes a client of the same node as another, with one connection of its own, whose
// commands wait for their answers for as long as that connection lives: a Redis that is frozen, or
// has paused its clients, carries out what it was sent when it goes on, and closing the connection
// would lose some of it, nobody knows how much. It is the caller's to close, which ends a command
// that waits; its error is then net.ErrClosed.
func Patient(node *redis.Client) *redis.Client {
	opt := *node.Options()
	opt.ReadTimeout, opt.WriteTimeout = -1, -1 // none
	opt.MaxRetries, opt.DialerRetries = -1, 1
	opt.PoolSize, opt.MaxConcurrentDials, opt.MinIdleConns = 1, 0, 0
	opt.PipelinePoolSize = -1
	return redis.NewClient(&opt)
}
