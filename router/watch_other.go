//go:build !linux

package router

import "context"

// watcher does nothing here: a poll whose client left ends with its worker's next packet, the ping
// at the latest.
type watcher struct{}

func newWatcher() (*watcher, error)      { return &watcher{}, nil }
func (*watcher) run(ctx context.Context) { <-ctx.Done() }
func (*watcher) add(c *conn)             { c.watched = 1 }
func (*watcher) remove(c *conn)          { c.watched = 0 }
