//go:build linux

package main

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// connectors is how many clients connect at a time.
const connectors = 8

// connects is clients that come, join the main namespace, and leave as browsers do.
type connects struct {
	s *system
	n int
}

func prepareConnects(_ context.Context, s *system, o options) (load, error) {
	return &connects{s, pick(o.quick, 300, 1000)}, nil
}

func (l *connects) round(ctx context.Context) (units, lost int, err error) {
	var failed atomic.Int64
	var g errgroup.Group
	g.SetLimit(connectors)
	for i := range l.n {
		g.Go(func() error {
			if err := comeAndGo(ctx, l.s.entries[i%len(l.s.entries)], i); err != nil {
				failed.Add(1)
			}
			return nil
		})
	}
	_ = g.Wait()           // counted instead
	time.Sleep(2 * settle) // what a close leaves behind is part of it
	return l.n, int(failed.Load()), ctx.Err()
}

func comeAndGo(ctx context.Context, addr string, i int) error {
	c, err := dial(ctx, addr, i, false)
	if err != nil {
		return err
	}
	defer c.close()
	return c.send(opClose, "\x03\xe9") // 1001, going away
}

func (l *connects) close() {}
