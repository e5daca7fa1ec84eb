package directory

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	scanCount = 1000                 // keys that Redis looks at in one step
	maxApps   = 1000                 // that Apps returns
	anyRecord = `{sidereal:*}:*er:*` // of a worker or a router
)

// apps returns the names of the apps in a Redis: see [Directory.Apps].
func apps(ctx context.Context, conn *redisconn.Conn) ([]string, error) {
	found := make(map[string]bool)
	err := scan(ctx, conn, func(key string) bool {
		tag, record, _ := strings.Cut(key, "}:")
		app, ours := strings.CutPrefix(tag, "{sidereal:")
		if ours && (strings.HasPrefix(record, "worker:") || strings.HasPrefix(record, "router:")) {
			found[app] = true
		}
		return len(found) < maxApps
	})
	return slices.Sorted(maps.Keys(found)), err
}

// scan calls f with each key of a record until f returns false.
func scan(ctx context.Context, conn *redisconn.Conn, f func(key string) bool) error {
	nodes, err := conn.Nodes(ctx)
	if err != nil {
		return redisconn.Classify(err)
	}
	for _, node := range nodes {
		var cursor uint64
		for {
			keys, next, err := node.Scan(ctx, cursor, anyRecord, scanCount).Result()
			if err != nil {
				return redisconn.Classify(err)
			}
			for _, key := range keys {
				if !f(key) {
					return nil
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}
