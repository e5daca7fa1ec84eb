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
		of.ClusterStateReloadInterval = atlasOld
		return redis.NewClusterClient(of)
	case sentinel:
		return redis.NewFailoverClient(opt.Failover())
	}
	return redis.NewClient(opt.Simple())
}
