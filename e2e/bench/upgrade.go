//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// upgradeTime is from the first request of a session to its upgrade packet.
const upgradeTime quantity = "ms until the upgrade"

// upgrades is clients that begin with polling, upgrade, and leave, as the official client does.
type upgrades struct {
	s *system
	n int

	mu   sync.Mutex
	took []time.Duration
}

// runUpgrades measures the CPU of sessions that upgrade, and how long their clients wait for it.
func runUpgrades(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	loads := map[string]*upgrades{}
	each := *it
	each.prepare = func(_ context.Context, s *system, o options) (load, error) {
		loads[s.key] = &upgrades{s: s, n: pick(o.quick, 100, 400)}
		return loads[s.key], nil
	}
	results, err := takeTurns(ctx, f, &each, o)
	if err != nil {
		return nil, err
	}
	r := newResult(it.name+"-time", "From the first request to the WebSocket, 8 clients at a time", "session", upgradeTime)
	for key, l := range loads {
		for _, d := range l.took {
			r.add(key, sample{value: float64(d) / float64(time.Millisecond), units: 1})
		}
	}
	return append(results, r), nil
}

func (l *upgrades) round(ctx context.Context) (units, lost int, err error) {
	var failed atomic.Int64
	var g errgroup.Group
	g.SetLimit(connectors)
	for i := range l.n {
		g.Go(func() error {
			took, err := upgradeAndGo(ctx, l.s.entries[0], i)
			if err != nil {
				failed.Add(1)
				return nil
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.took = append(l.took, took)
			return nil
		})
	}
	_ = g.Wait() // counted instead
	time.Sleep(2 * settle)
	return l.n, int(failed.Load()), ctx.Err()
}

func (l *upgrades) close() {}

// upgradeAndGo polls on until it has read the probe's answer and the last poll has ended, as the
// official client does, echoes once over the WebSocket, and closes it.
func upgradeAndGo(ctx context.Context, addr string, i int) (took time.Duration, err error) {
	var conns [2]*httpConn
	for n := range conns {
		if conns[n], err = dialHTTP(ctx, addr, i); err != nil {
			return 0, err
		}
		defer conns[n].conn.Close()
	}
	begin := time.Now()
	opened, err := conns[0].do("", "")
	if err != nil {
		return 0, err
	}
	sid, err := sidOf(opened)
	if err != nil {
		return 0, err
	}
	var g errgroup.Group
	var paused atomic.Bool
	g.Go(func() error {
		for !paused.Load() {
			if _, err := conns[0].do(sid, ""); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		_, err := conns[1].do(sid, "40")
		return err
	})
	c, err := probe(ctx, addr, sid, i)
	paused.Store(true)
	if c != nil {
		defer c.close()
	}
	if polled := g.Wait(); err == nil {
		err = polled
	}
	if err != nil {
		return 0, err
	}
	if err := c.send(opText, "5"); err != nil {
		return 0, err
	}
	took = time.Since(begin)
	if err := c.ask(echoArgs); err != nil {
		return 0, err
	}
	for {
		_, p, _, err := readFrame(c.r, nil)
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(string(p), "430[") {
			return took, c.send(opClose, "\x03\xe9")
		}
	}
}

// probe opens a WebSocket for a session and reads the answer to its probe.
func probe(ctx context.Context, addr, sid string, i int) (*client, error) {
	conn, err := dialer(i).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := conn.SetDeadline(time.Now().Add(lossPatience)); err != nil {
		return c, err
	}
	if err := c.shake(addr, "&sid="+sid, ""); err != nil {
		return c, err
	}
	if err := c.send(opText, "2probe"); err != nil {
		return c, err
	}
	return c, c.expect("3probe")
}

// upgradeTable is about the wait for the WebSocket.
func upgradeTable(b *strings.Builder, results []*result) {
	for _, r := range of(results, upgradeTime) {
		fmt.Fprintf(b, "\n## Upgrades\n\n%s, in milliseconds:\n\n| system | median | 90 %% | longest |\n|---|--:|--:|--:|\n", r.title)
		for _, key := range r.keys() {
			values := r.values(key, "")
			median, _, longest := spread(values)
			fmt.Fprintf(b, "| %s | **%.1f** | %.1f | %.1f |\n", key, median, percentile(values, 90), longest)
		}
	}
}
