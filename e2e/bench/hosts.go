//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// commandHosts measures how the cost of a message grows with the hosts.
const commandHosts = "hosts"

// visitTime limits one round of one number of hosts.
const visitTime = 4 * time.Minute

// hostsOptions are the flags of the command.
type hostsOptions struct {
	counts  []int
	rounds  int
	adapter string
	little  bool   // a tenth of the work, for a test
	out     string // the report
	charts  string // what tools/plot draws
}

// runHosts starts clusters of several sizes in turn, lets the same clients do the same work in each,
// and writes what that took after each round.
func runHosts(ctx context.Context, args []string) error {
	o, err := parseHosts(args)
	if err != nil {
		return err
	}
	if err := raiseFiles(8192); err != nil {
		return err
	}
	f, err := newFleet(ctx, "", "redis-server")
	if err != nil {
		return err
	}
	defer f.close()
	_, err = grow(ctx, f, o)
	return err
}

// grow runs the rounds, and reports after each.
func grow(ctx context.Context, f *fleet, o hostsOptions) (*growth, error) {
	g := newGrowth(o)
	for round := range o.rounds {
		for _, n := range o.counts {
			fmt.Fprintf(os.Stderr, "%4.0fs  round %d of %d, %d hosts\n", time.Since(g.begun).Seconds(), round+1, o.rounds, n)
			if err := g.visit(ctx, f, n); err != nil {
				if ctx.Err() != nil {
					return g, err
				}
				g.failed = append(g.failed, fmt.Sprintf("round %d, %d hosts: %v", round+1, n, err))
				fmt.Fprintf(os.Stderr, "       %v\n", err)
			}
		}
		g.rounds = round + 1
		if err := g.write(); err != nil {
			return g, err
		}
	}
	if len(g.failed) > 0 {
		return g, fmt.Errorf("%d of the runs failed; the report names them", len(g.failed))
	}
	return g, nil
}

func parseHosts(args []string) (o hostsOptions, err error) {
	flags := flag.NewFlagSet(commandHosts, flag.ContinueOnError)
	counts := flags.String("hosts", "1,2,4,8", "`numbers` of hosts, separated by commas")
	flags.IntVar(&o.rounds, "rounds", 5, "`rounds`; the report has their medians")
	flags.StringVar(&o.adapter, "adapter", "redis", "`form` of the adapter: redis, redis-sharded or redis-streams")
	flags.BoolVar(&o.little, "little", false, "a tenth of the work, to try the program")
	flags.StringVar(&o.out, "o", "", "write the report to this `file` (default: standard output, at the end)")
	flags.StringVar(&o.charts, "charts", "", "write what tools/plot draws to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*counts, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 200 {
			return o, fmt.Errorf("-hosts: %q isn't a number from 1 to 200", text)
		}
		o.counts = append(o.counts, n)
	}
	if flags.NArg() > 0 || o.rounds < 1 {
		return o, errors.New("no arguments, and at least one round")
	}
	return o, nil
}

// growth is what was measured so far.
type growth struct {
	o       hostsOptions
	begun   time.Time
	rounds  int
	samples map[cell][]sample
	relayed map[cell][]float64 // share of the clients on another host than their entry's
	failed  []string
}

func newGrowth(o hostsOptions) *growth {
	return &growth{o: o, begun: time.Now(), samples: map[cell][]sample{}, relayed: map[cell][]float64{}}
}

// cell is a place in the report.
type cell struct {
	work  string
	entry string
	hosts int
}

// cluster starts n hosts of one worker, each at an address of its own, on one Redis.
func (f *fleet) cluster(ctx context.Context, n int, env ...string) (*system, error) {
	s := &system{key: strconv.Itoa(n)}
	f.running[s.key] = s
	url, err := f.redis(s)
	if err != nil {
		return nil, err
	}
	for i := range n {
		addr := freeAddrAt(hostIP(i))
		s.entries = append(s.entries, addr)
		if err := f.up(s, addr, hostName(i), url, 1, env...); err != nil {
			return nil, err
		}
	}
	for _, entry := range s.entries {
		if err := s.await(ctx, entry, n); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func hostIP(i int) string   { return fmt.Sprintf("127.0.1.%d", i+1) }
func hostName(i int) string { return fmt.Sprintf("host-%d", i+1) }

// visit does all work once with n hosts.
func (g *growth) visit(ctx context.Context, f *fleet, n int) error {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	defer f.stop(strconv.Itoa(n))
	s, err := f.cluster(ctx, n, "SIDEREAL_ADAPTER="+g.o.adapter, quietEnv+"=1")
	if err != nil {
		return err
	}
	rest, err := measure(ctx, s, atRest{pick(g.o.little, time.Second/2, 4*time.Second)})
	if err != nil {
		return err
	}
	g.add(cell{workRest.name, "", n}, rest)
	for _, e := range entries {
		if n == 1 && e.key != entryHome {
			continue // all entries are the session's host
		}
		for _, w := range works {
			if err := s.quiet(ctx); err != nil {
				return err
			}
			if err := g.do(ctx, s, cell{w.name, e.key, n}, w, e); err != nil {
				return fmt.Errorf("%s, %s: %w", w.name, e.title, err)
			}
		}
	}
	return nil
}

// do lets new clients do the work, first to warm up, then once to be measured.
func (g *growth) do(ctx context.Context, s *system, at cell, w work, e entry) error {
	l, relayed, err := w.prepare(ctx, s, e.routes(s), pick(g.o.little, 1, 10))
	if err != nil {
		return err
	}
	defer l.close()
	if relayed >= 0 {
		g.relayed[at] = append(g.relayed[at], relayed)
	}
	if _, _, err := l.round(ctx); err != nil {
		return err
	}
	m, err := measure(ctx, s, l)
	if err == nil {
		err = ctx.Err() // the round was cut short
	}
	if err != nil {
		return err
	}
	g.add(at, m)
	return nil
}

func (g *growth) add(at cell, m sample) {
	fmt.Fprintf(os.Stderr, "       %-12s %-6s %8.1f CPU µs, %d in %.2f s, lost %d, %v\n", at.work, at.entry, m.value, m.units, m.took.Seconds(), m.lost, m.parts)
	g.samples[at] = append(g.samples[at], m)
}

// atRest is no work for a while. Its unit is a millisecond, so its CPU µs are ms a second.
type atRest struct{ time.Duration }

func (r atRest) round(ctx context.Context) (units, lost int, err error) {
	select {
	case <-time.After(r.Duration):
	case <-ctx.Done():
	}
	return int(r.Milliseconds()), 0, ctx.Err()
}

func (atRest) close() {}
