//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// commandStorm measures the death of a host under load.
const commandStorm = "storm"

const (
	stormBefore = 5 * time.Second  // of echoes before the host dies
	stormAfter  = 3 * time.Second  // and after its last client is served again
	stormLimit  = 90 * time.Second // for all to come back
	stormRate   = 1000             // echoes of the other hosts' clients a second
	stormStep   = 250 * time.Millisecond
	stormRoom   = 4096 // open files beside those of the clients
)

// stormOptions are the flags of the command.
type stormOptions struct {
	hosts, clients, rounds int
	out, charts            string
}

// runStorm kills one of several hosts, and reports when its clients are served again and how the
// others fare meanwhile.
func runStorm(ctx context.Context, args []string) error {
	o, err := parseStorm(args)
	if err != nil {
		return err
	}
	if err := raiseFiles(uint64(o.clients + stormRoom)); err != nil {
		return err
	}
	f, err := newFleet(ctx, "", "redis-server")
	if err != nil {
		return err
	}
	defer f.close()
	begun := time.Now()
	var rounds []*stormRound
	for n := range o.rounds {
		r, err := f.storm(ctx, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%4.0fs  round %d of %d: %s\n", time.Since(begun).Seconds(), n+1, o.rounds, r.row())
		rounds = append(rounds, r)
		if err := writeCharts(o.charts, stormCharts(rounds)); err != nil {
			return err
		}
		if text := stormReport(o, rounds, time.Since(begun)); o.out != "" {
			err = os.WriteFile(o.out, []byte(text), 0o644)
		} else if n == o.rounds-1 {
			_, err = os.Stdout.WriteString(text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func parseStorm(args []string) (o stormOptions, err error) {
	flags := flag.NewFlagSet(commandStorm, flag.ContinueOnError)
	flags.IntVar(&o.hosts, "hosts", 4, "`number` of hosts, of which one dies")
	flags.IntVar(&o.clients, "clients", 10_000, "`number` of WebSockets on all hosts; each needs an open file here and in its worker")
	flags.IntVar(&o.rounds, "rounds", 3, "`rounds`, each with new hosts")
	flags.StringVar(&o.out, "o", "", "write the report to this `file` (default: standard output, at the end)")
	flags.StringVar(&o.charts, "charts", "", "write what tools/plot draws to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 || o.hosts < 2 || o.hosts > 200 || o.clients < o.hosts || o.rounds < 1 {
		return o, errors.New("at least two hosts, a client for each, and one round")
	}
	return o, nil
}

// storm is one round while it runs. Client i enters at host i modulo the number of hosts. The first
// host dies.
type storm struct {
	entries []string
	died    atomic.Int64 // when, on the clock of epoch; 0: not yet
	next    atomic.Int64 // the host that a balancer would try next
	clients []stormClient

	mu   sync.Mutex // guards the rest
	seen stormRound
}

// stormClient is a client with its latest connection.
type stormClient struct {
	conn   atomic.Pointer[client]
	sent   atomic.Int64 // when its unanswered echo was sent; 0: there is none
	victim bool         // it entered at the first host, or has its session there
}

// stormRound is what a round showed. Times are since the death, of echoes when they were sent.
type stormRound struct {
	clients, victims int
	back             []time.Duration // when each victim was served again
	echoes           []stormEcho     // of the others
	refused          map[string]int  // attempts that a router or worker answered with an error, by status
	cut              int             // attempts that ended without an answer
	dropped          int             // connections of others that ended
	unanswered       int             // echoes of others
}

type stormEcho struct{ at, took time.Duration }

// storm runs one round.
func (f *fleet) storm(ctx context.Context, o stormOptions) (*stormRound, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTime)
	defer cancel()
	key := fmt.Sprint(o.hosts)
	defer f.stop(key)
	s, err := f.cluster(ctx, o.hosts)
	if err != nil {
		return nil, err
	}
	st := &storm{entries: s.entries, clients: make([]stormClient, o.clients)}
	st.seen.clients, st.seen.refused = o.clients, make(map[string]int)
	living, leave := context.WithCancel(ctx)
	var lives sync.WaitGroup
	defer lives.Wait()
	defer st.close()
	defer leave()
	if err := st.gather(ctx, func(i int, c *client) { lives.Go(func() { st.live(living, i, c) }) }); err != nil {
		return nil, err
	}
	lives.Go(func() { st.talk(living) })
	if err := pause(ctx, stormBefore); err != nil {
		return nil, err
	}
	victim, err := tree([]int{s.parts[1].pid()}) // parts[0] is Redis
	if err != nil {
		return nil, err
	}
	st.died.Store(int64(time.Since(epoch)))
	for pid := range victim {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(stormLimit); !st.whole() && time.Now().Before(end); {
		if err := pause(ctx, stormStep); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, stormAfter); err != nil {
		return nil, err
	}
	return st.result(), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// gather connects all clients.
func (st *storm) gather(ctx context.Context, connected func(i int, c *client)) error {
	g, dialing := errgroup.WithContext(ctx)
	g.SetLimit(dialers)
	for i := range st.clients {
		g.Go(func() error {
			c, err := dial(dialing, st.entries[i%len(st.entries)], i, false)
			if err != nil {
				return err
			}
			st.clients[i].conn.Store(c)
			host, err := c.whereabouts()
			if err != nil {
				return err
			}
			st.clients[i].victim = i%len(st.entries) == 0 || host == hostName(0)
			connected(i, c)
			return nil
		})
	}
	err := g.Wait()
	for i := range st.clients {
		if st.clients[i].victim {
			st.seen.victims++
		}
	}
	return err
}

// live reads what comes to a client, and connects it again when its connection ends.
func (st *storm) live(ctx context.Context, i int, c *client) {
	me := &st.clients[i]
	for {
		st.read(me, c)
		c.close()
		if ctx.Err() != nil {
			return
		}
		if !me.victim {
			st.note(func(r *stormRound) { r.dropped++ })
		}
		if c = st.comeBack(ctx, i); c == nil {
			return
		}
		if me.victim {
			at := st.sinceDeath(time.Since(epoch))
			st.note(func(r *stormRound) { r.back = append(r.back, at) })
		}
		me.conn.Store(c)
		if ctx.Err() != nil { // close has been here before
			c.close()
			return
		}
	}
}

// read returns when the connection ends.
func (st *storm) read(me *stormClient, c *client) {
	for {
		op, p, scratch, err := readFrame(c.r, c.scratch)
		if err != nil || op == opClose {
			return
		}
		c.scratch = scratch
		switch {
		case string(p) == "2":
			_ = c.send(opText, "3")
		case strings.HasPrefix(string(p), "43"):
			if sent := time.Duration(me.sent.Swap(0)); sent > 0 && !me.victim {
				took := time.Since(epoch) - sent
				st.note(func(r *stormRound) { r.echoes = append(r.echoes, stormEcho{sent, took}) })
			}
		}
	}
}

// comeBack connects a client again as the official one does: after a second or so, and after up to
// 5 s when that failed. A balancer before the hosts would go on to the next one where nobody
// listens. The client is back when an echo was answered.
func (st *storm) comeBack(ctx context.Context, i int) *client {
	for delay := time.Second; ; delay = min(2*delay, 5*time.Second) {
		if pause(ctx, time.Duration((0.5+rand.Float64())*float64(delay))) != nil {
			return nil
		}
		for range st.entries {
			host := int(st.next.Add(1)) % len(st.entries)
			c, err := st.served(ctx, st.entries[host], i)
			if err == nil {
				return c
			}
			if ctx.Err() != nil {
				return nil
			}
			if !errors.Is(err, syscall.ECONNREFUSED) {
				st.note(func(r *stormRound) { r.failed(err) })
				break
			}
		}
	}
}

// served connects and has one echo answered.
func (st *storm) served(ctx context.Context, addr string, i int) (*client, error) {
	c, err := dial(ctx, addr, i, false)
	if err != nil {
		return nil, err
	}
	if _, err := c.whereabouts(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// failed counts an attempt that failed, by what the client was told.
func (r *stormRound) failed(err error) {
	_, rest, found := strings.Cut(err.Error(), `"HTTP/1.1 `)
	if !found {
		r.cut++
		return
	}
	status, _, _ := strings.Cut(rest, `"`)
	r.refused[status]++
}

// talk lets clients of the other hosts send echoes in turn, each at most one at a time.
func (st *storm) talk(ctx context.Context) {
	const batch = 10
	tick := time.NewTicker(batch * time.Second / stormRate)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; {
		for n := 0; n < batch; i++ {
			me := &st.clients[i%len(st.clients)]
			if me.victim {
				continue
			}
			n++
			if me.sent.CompareAndSwap(0, int64(time.Since(epoch))) {
				_ = me.conn.Load().ask(echoArgs) // live notices the end of the connection
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (st *storm) note(what func(*stormRound)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	what(&st.seen)
}

func (st *storm) sinceDeath(at time.Duration) time.Duration {
	return at - time.Duration(st.died.Load())
}

// whole reports whether all clients of the dead host are served again.
func (st *storm) whole() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.seen.back) >= st.seen.victims
}

func (st *storm) result() *stormRound {
	st.mu.Lock()
	defer st.mu.Unlock()
	r := st.seen
	r.echoes = nil
	for _, e := range st.seen.echoes {
		r.echoes = append(r.echoes, stormEcho{st.sinceDeath(e.at), e.took})
	}
	for i := range st.clients {
		if me := &st.clients[i]; !me.victim && me.sent.Load() > 0 && time.Since(epoch)-time.Duration(me.sent.Load()) > stormAfter/2 {
			r.unanswered++
		}
	}
	return &r
}

func (st *storm) close() {
	for i := range st.clients {
		if c := st.clients[i].conn.Load(); c != nil {
			c.abort()
		}
	}
}
