package redisconn

import (
	"context"
	"strings"
)

// Incarnation names the Redis process that answers: it is another one after a restart, and after a failover. It is empty
// where that cannot be told: in a cluster, whose nodes are many; without the right to INFO; and while Redis is away.
func (c *Conn) Incarnation(ctx context.Context) string {
	if c.one == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	info, err := c.one.Info(ctx, "server").Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}
