//go:build linux

package main

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
)

// swarm is the clients of one system in one item.
type swarm struct {
	clients []*client
	tally   tally
	readers sync.WaitGroup
}

// dialers is how many connections are opened at a time: fewer than any backlog.
const dialers = 16

// open connects n clients, spread over the entries, and starts their readers. Each calls again, if
// given, as often as its left says.
func open(ctx context.Context, entries []string, n int, deflate bool, again func(*client)) (*swarm, error) {
	return gatherSwarm(ctx, n, again, func(ctx context.Context, i int) (*client, error) {
		return dial(ctx, entries[i%len(entries)], i, deflate)
	})
}

// gatherSwarm is open with a dial of the caller's.
func gatherSwarm(ctx context.Context, n int, again func(*client), dial func(context.Context, int) (*client, error)) (*swarm, error) {
	s := &swarm{clients: make([]*client, n)}
	g, dialing := errgroup.WithContext(ctx)
	g.SetLimit(dialers)
	for i := range n {
		g.Go(func() (err error) {
			s.clients[i], err = dial(dialing, i)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		s.close()
		return nil, err
	}
	for _, c := range s.clients {
		c.tally, c.again = &s.tally, again
		s.readers.Go(c.read)
	}
	return s, nil
}

// ask lets every client emit one event and waits for the acks.
func (s *swarm) ask(ctx context.Context, args func(i int) string) (lost int, err error) {
	s.tally.expect(len(s.clients))
	for i, c := range s.clients {
		if err := c.ask(args(i)); err != nil {
			return 0, err
		}
	}
	return s.tally.wait(ctx), nil
}

func (s *swarm) close() {
	for _, c := range s.clients {
		if c != nil {
			c.close()
		}
	}
	s.readers.Wait()
}
