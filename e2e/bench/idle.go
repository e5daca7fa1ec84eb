//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

const idleItem = "idle"

// runIdle measures what an idle WebSocket costs in memory, as it is a while after it came and again
// once garbage is collected; and, since so many are there, a fan-out to all of them. The systems
// come one after another here.
func runIdle(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	asIs, collected := memoryResults(it, o.idle)
	toAll := newResult("fan-out-all", fmt.Sprintf("Fan-out 1 → %d of 128 B (rounds do not take turns)", o.idle), "delivery", cpuTime)
	for _, key := range it.systems {
		err := hold(ctx, f, key, o, asIs, collected, func(s *system) (connected, error) {
			swarm, err := open(ctx, s.entries, o.idle, false, nil)
			if err != nil {
				return connected{}, err
			}
			afterwards := func() error {
				for range pick(o.quick, 2, 3) {
					m, err := measure(ctx, s, &fanOut{swarm, say(128, ""), 3})
					if err != nil {
						return err
					}
					toAll.add(key, m)
				}
				return nil
			}
			return connected{o.idle, swarm.close, afterwards}, nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return []*result{asIs, collected, toAll}, nil
}

// runParked does the same with polling sessions that wait.
func runParked(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	n := o.idle / 10
	asIs, collected := memoryResults(it, n)
	for _, key := range it.systems {
		err := hold(ctx, f, key, o, asIs, collected, func(s *system) (connected, error) {
			conns := make([]*httpConn, n)
			g, dialing := errgroup.WithContext(ctx)
			g.SetLimit(dialers)
			for i := range conns {
				g.Go(func() error {
					c, err := dialHTTP(dialing, s.entries[0], i)
					if err != nil {
						return err
					}
					conns[i] = c
					sid, err := pollOpen(c)
					if err != nil {
						return err
					}
					return c.send(sid, "")
				})
			}
			return connected{n: n, close: func() {
				for _, c := range conns {
					if c != nil {
						c.conn.Close()
					}
				}
			}}, g.Wait()
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return []*result{asIs, collected}, nil
}

// runRelayed measures the routers of two hosts when everybody enters at one of them.
func runRelayed(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	asIs, collected := memoryResults(it, o.idle/5)
	relayed := 0
	err := hold(ctx, f, twoHosts, o, asIs, collected, func(s *system) (connected, error) {
		swarm, err := open(ctx, s.entries[:1], o.idle/5, false, nil)
		if err != nil {
			return connected{}, err
		}
		relayed, err = clientsOf(ctx, s.entries[0], "host-2")
		return connected{n: o.idle / 5, close: swarm.close}, err
	})
	if err != nil {
		return nil, err
	}
	asIs.title += fmt.Sprintf(" (%d of %d relayed)", relayed, o.idle/5)
	asIs.relayed, collected.relayed = relayed, relayed
	return []*result{asIs, collected}, nil
}

// clientsOf asks the server at addr how many sessions the workers of a host have, or of all hosts if
// host is empty.
func clientsOf(ctx context.Context, addr, host string) (n int, err error) {
	c, err := dial(ctx, addr, 0, false)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if err := c.ask(`["workers"]`); err != nil {
		return 0, err
	}
	_, p, _, err := readFrame(c.r, nil)
	if err != nil {
		return 0, err
	}
	var answer [][]struct {
		Host    string
		Clients int
	}
	_, text, _ := strings.Cut(string(p), "[")
	if err := json.Unmarshal([]byte("["+text), &answer); err != nil || len(answer) != 1 {
		return 0, fmt.Errorf("workers: %q, %w", p, err)
	}
	for _, w := range answer[0] {
		if host == "" || w.Host == host {
			n += w.Clients
		}
	}
	return n, nil
}

func memoryResults(it *item, n int) (asIs, collected *result) {
	title := fmt.Sprintf("%s, %d of them", it.title, n)
	return newResult(it.name, title, it.unit, memory), newResult(it.name+"-collected", title+", garbage collected", it.unit, memory)
}

// connected is what hold holds.
type connected struct {
	n          int
	close      func()
	afterwards func() error // while it is held; may be nil
}

// hold starts a system anew, so that nothing that ran before is in its memory, and measures what
// connect adds to it.
func hold(ctx context.Context, f *fleet, key string, o options, asIs, collected *result, connect func(*system) (connected, error)) error {
	f.stop(key)
	s, err := f.get(ctx, key)
	if err != nil {
		return err
	}
	pids, err := s.pids()
	if err != nil {
		return err
	}
	pause := pick(o.quick, 500*time.Millisecond, 4*time.Second) // routers and collectors notice within seconds that it is quiet
	collect(pids)
	time.Sleep(pause)
	before, err := pss(pids)
	if err != nil {
		return err
	}
	begin := time.Now()
	c, err := connect(s)
	if c.close != nil {
		defer c.close()
	}
	if err != nil {
		return err
	}
	took := time.Since(begin)
	time.Sleep(pause)
	for _, r := range []*result{asIs, collected} {
		now, err := pss(pids)
		if err != nil {
			return err
		}
		m := sample{parts: map[string]float64{}, units: c.n, took: took}
		for part, size := range now {
			m.parts[part] = float64(size-before[part]) / float64(c.n)
			m.value += m.parts[part]
		}
		r.add(key, m)
		collect(pids)
		time.Sleep(pause)
	}
	if c.afterwards != nil {
		return c.afterwards()
	}
	return nil
}

// collect makes the servers that know the signal collect their garbage. They are processes of ours.
func collect(pids map[int]string) {
	for pid, part := range pids {
		if strings.Contains("worker node floor", part) {
			_ = syscall.Kill(pid, collectSignal)
		}
	}
}

// runStart measures the time from starting a system to its first answer.
func runStart(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	r := newResult(it.name, it.title, it.unit, wallTime)
	for range o.rounds {
		for _, key := range []string{ours, node, host} {
			s := &system{key: key}
			launch := map[string]func() error{
				ours: func() error { return f.worker(s) },
				node: func() error { return f.node(s) },
				host: func() error { return f.up(s, s.entry(), "host-1", "", 2) },
			}[key]
			begin := time.Now()
			err := launch()
			if err == nil {
				err = s.await(ctx, s.entries[0], 0)
			}
			took := time.Since(begin)
			s.stop()
			if err != nil {
				return nil, err
			}
			r.add(key, sample{value: float64(took) / float64(time.Millisecond), units: 1, took: took})
		}
	}
	return []*result{r}, nil
}
