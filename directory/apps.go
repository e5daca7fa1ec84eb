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

// Apps returns the names of all apps with a worker or router in this Redis, sorted. It looks at
// every key, which takes long in a large Redis; if ctx ends first, it returns the apps that it has
// found and an error. The user of Redis needs the right to SCAN.
func (d *Directory) Apps(ctx context.Context) ([]string, error) {
	found := make(map[string]bool)
	err := d.scan(ctx, func(key string) bool {
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
func (d *Directory) scan(ctx context.Context, f func(key string) bool) error {
	nodes, err := d.conn.Nodes(ctx)
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
