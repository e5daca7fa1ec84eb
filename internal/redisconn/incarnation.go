package redisconn

import (
	"context"
	"strings"
)

// Incarnation identifies the Redis process that answers. It changes after a restart or a failover.
// It's empty in a cluster, without the right to INFO, and while Redis is away.
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
