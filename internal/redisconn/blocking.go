package redisconn

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// Blocking makes a client for commands that block for up to wait. It has its own connection, so
// that other commands don't queue behind it. The caller must close it; closing also ends a blocked
// command.
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

// Patient makes a client for the same node as another, with one connection of its own. Its commands
// wait for answers as long as that connection lives. A Redis that is frozen, or has paused its
// clients, executes the commands when it continues; closing the connection would lose an unknown
// part of them. The caller must close the client, which ends a waiting command with net.ErrClosed.
func Patient(node *redis.Client) *redis.Client {
	opt := *node.Options()
	opt.ReadTimeout, opt.WriteTimeout = -1, -1 // none
	opt.MaxRetries, opt.DialerRetries = -1, 1
	opt.PoolSize, opt.MaxConcurrentDials, opt.MinIdleConns = 1, 0, 0
	opt.PipelinePoolSize = -1
	return redis.NewClient(&opt)
}
