//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// item is one kind of work that systems are given.
type item struct {
	name    string // of -only
	title   string
	unit    string // what a figure is per
	systems []string
	run     func(context.Context, *fleet, *item, options) ([]*result, error)
	prepare func(context.Context, *system, options) (load, error) // of items that takeTurns runs
}

// load is what one system is given in each round.
type load interface {
	// round does the work once. Units is how much of it there was, lost how much was never answered.
	round(ctx context.Context) (units, lost int, err error)
	close()
}

// watched is a load that is about some of its system's processes, and leaves something to be cleared away after each
// round, outside of what is measured.
type watched interface {
	load
	measured() *system
	clear(context.Context) error
}

var (
	pairs    = []string{oursTwo, nodeTwo, bareTwo}
	single   = []string{ours, node, floor, bun, limit}
	all      = []string{ours, node, floor, host, nodeHost}
	wide     = append(slices.Clone(all), bun, limit) // of work that the limit can do
	served   = []string{ours, node, host, nodeHost}
	upgraded = append(slices.Clone(served), bun)
	polling  = []string{ours, node, host, nodeHost, twoHosts, bun}
)

// items are in the order in which they run and are reported.
var items = []item{
	{"start", "From the start of the process to the first message answered (embedded Redis)", "start", nil, runStart, nil},
	{"echo-open", "Echo with ack, 128 B, 10,000/s over 200 sockets", "echo", wide, takeTurns, prepareEchoOpen(echoRate)},
	{"echo-slow", "The same at 1,000/s", "echo", wide, takeTurns, prepareEchoOpen(slowRate)},
	{"echo-closed", "Echo in a closed loop: each of 200 sockets sends as soon as it is answered", "echo", wide, takeTurns, prepareEchoClosed},
	{"fan-out", "Fan-out 1 → 1,000 of 128 B, one after another", "delivery", wide, takeTurns, prepareFanOut},
	{"rooms", "Fan-out in 100 rooms of 10 at a time", "delivery", wide, takeTurns, prepareRooms},
	{"rooms-open", "1,000 broadcasts a second to rooms of 10 (1,000 clients, 100 rooms, 128 B)", "delivery", wide, takeTurns, prepareRoomsOpen},
	{"deflate", "Fan-out 1 → 200 of 2 KB with permessage-deflate", "delivery", []string{oursDeflate, nodeDeflate}, takeTurns, prepareDeflate},
	{"burst", "200 small emits to one socket in one turn", "emit", single, takeTurns, prepareBurst},
	{"binary-1k", "Echo with ack of 1 KB binary, closed loop, 50 sockets", "echo", wide, takeTurns, prepareBinary(1<<10, 50, 120)},
	{"binary-100k", "Echo with ack of 100 KB binary, closed loop, 20 sockets", "echo", wide, takeTurns, prepareBinary(100<<10, 20, 30)},
	{"connect", "WebSocket: connect, join the main namespace, close", "connection", wide, takeTurns, prepareConnects},
	{"upgrade", "Session that begins with polling, upgrades, echoes once and closes", "session", upgraded, runUpgrades, nil},
	{"poll-session", "Polling session: handshake, post, poll, close (4 requests)", "session", polling, takeTurns, preparePollSessions},
	{"poll-request", "Polling request of open sessions that share connections (echo: one POST, one GET)", "request", polling, takeTurns, preparePollRequests},
	{"other-skip", "Received, for a room with nobody here", "message", pairs, takeTurns, prepareReceive("nobody", 0, 40_000)},
	{"other-one", "Received, and queued for one socket", "message", pairs, takeTurns, prepareReceive("one", 1, 20_000)},
	{"other-thousand", "Received, and queued for 1,000 sockets", "message", pairs, takeTurns, prepareReceive("thousand", 1000, 400)},
	{"other-publish", "Published, 10,000 in one turn", "message", pairs, takeTurns, preparePublish},
	{latencyItem, "From a client over both servers to a client, 99th percentile of a round", "message", pairs, runLatency, nil},
	{"routed-request", "Polling request of open sessions that share connections", "request", routers, takeTurns, preparePollRequests},
	{"routed-session", "Polling session: handshake, post, poll, close", "session", routers, takeTurns, preparePollSessions},
	{"routed-connect", "WebSocket: connect, join the main namespace, close", "connection", routers, takeTurns, prepareConnects},
	{"routed-echo", "Echo with ack over 200 WebSockets, closed loop", "echo", routers, takeTurns, prepareEchoClosed},
	{"relayed-echo", "plain, from one host to another", "echo", relaysPlain, takeTurns, prepareEchoOpen(echoRate)},
	{"relayed-echo-tls", "from TLS to a worker of the same host", "echo", relaysFront, takeTurns, prepareEchoOpen(echoRate)},
	{"relayed-echo-inner", "from TLS over TLS to another host, two hops", "echo", relaysInner, takeTurns, prepareEchoOpen(echoRate)},
	{"poll-parked", "A session whose poll waits, each on a connection of its own", "session", served, runParked, nil},
	{idleItem, "An idle WebSocket", "connection", all, runIdle, nil},
	{"relay", "An idle WebSocket that enters at one of two hosts; half are relayed to the other", "connection", []string{twoHosts}, runRelayed, nil},
	{heldItem, "Idle WebSockets on one host", "connection", []string{crowdHost}, runHeld, nil},
}

// settle is how long a system may finish what it does behind an answer, before its usage is read.
const settle = 40 * time.Millisecond

// takeTurns prepares all systems, lets each warm up, and then lets them take turns.
func takeTurns(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	r := newResult(it.name, it.title, it.unit, cpuTime)
	switch {
	case slices.Equal(it.systems, pairs):
		r.quantity = between
	case slices.Equal(it.systems, routers):
		r.quantity = routed
	case slices.Contains(relays, it.systems[0]):
		r.quantity = relayed
	}
	var contenders []contender
	defer func() {
		for _, c := range contenders {
			c.load.close()
		}
	}()
	for _, key := range f.present(it.systems) {
		s, err := f.get(ctx, key)
		if err != nil {
			return nil, err
		}
		l, err := it.prepare(ctx, s, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		c := contender{s, l}
		contenders = append(contenders, c)
		for begin := time.Now(); time.Since(begin) < pick(o.quick, 250*time.Millisecond, 500*time.Millisecond); {
			_, _, err := l.round(ctx)
			if err == nil {
				err = c.clear(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	for range o.rounds {
		for _, c := range contenders {
			m, err := measure(ctx, c.measured(), c.load)
			if err == nil {
				err = c.clear(ctx)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.key, err)
			}
			r.add(c.key, m)
		}
	}
	if o.profile != "" {
		for _, c := range contenders {
			if err := record(ctx, filepath.Join(o.profile, it.name+"-"+c.key+".perf"), c); err != nil {
				return nil, err
			}
		}
	}
	return []*result{r}, ctx.Err()
}

// contender is a system with its load.
type contender struct {
	*system
	load
}

// measured is what of the system is looked at.
func (c contender) measured() *system {
	if w, ok := c.load.(watched); ok {
		return w.measured()
	}
	return c.system
}

func (c contender) clear(ctx context.Context) error {
	if w, ok := c.load.(watched); ok {
		return w.clear(ctx)
	}
	return nil
}

// measure does one round and reads what it took, in CPU microseconds per unit.
func measure(ctx context.Context, s *system, l load) (sample, error) {
	pids, err := s.pids()
	if err != nil {
		return sample{}, err
	}
	time.Sleep(settle)
	before, err := cpu(pids)
	if err != nil {
		return sample{}, err
	}
	begin := time.Now()
	units, lost, err := l.round(ctx)
	if err != nil {
		return sample{}, err
	}
	took := time.Since(begin)
	time.Sleep(settle)
	after, err := cpu(pids)
	if err != nil {
		return sample{}, fmt.Errorf("a process ended: %w", err)
	}
	used := after.since(before)
	m := sample{value: micros(used.sum(), units), parts: map[string]float64{}, lost: lost, units: units, took: took}
	for part, d := range used {
		m.parts[part] = micros(d, units)
	}
	return m, nil
}

func micros(d time.Duration, units int) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(units, 1))
}

// recordFor is how long a profile is at least.
const recordFor = time.Second

// record lets perf watch the system's processes for some rounds.
func record(ctx context.Context, file string, c contender) error {
	pids, err := c.measured().pids()
	if err != nil {
		return err
	}
	var list []string
	for pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	perf := exec.CommandContext(ctx, "perf", "record", "-q", "-F", "2999", "-g", "-o", file, "-p", strings.Join(list, ","))
	perf.Stderr = os.Stderr
	if err := perf.Start(); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond) // it says nowhere that it has begun
	for begin := time.Now(); err == nil && time.Since(begin) < recordFor; {
		if _, _, err = c.round(ctx); err == nil {
			err = c.clear(ctx)
		}
	}
	_ = perf.Process.Signal(os.Interrupt)
	_ = perf.Wait() // ends by the signal
	return err
}

// spread is the median of values, and their range.
func spread(values []float64) (median, low, high float64) {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0, 0, 0
	}
	median = v[len(v)/2]
	if len(v)%2 == 0 {
		median = (v[len(v)/2-1] + median) / 2
	}
	return median, v[0], v[len(v)-1]
}

// result is what an item gave.
type result struct {
	name, title, unit string
	quantity          quantity
	samples           map[string][]sample // by system
	relayed           int                 // of the connections held, where that was counted
}

// quantity is what is measured, and in what.
type quantity string

const (
	cpuTime  quantity = "CPU µs"
	memory   quantity = "bytes of PSS"
	wallTime quantity = "ms"
)

// sample is one round of one system.
type sample struct {
	value float64            // per unit
	parts map[string]float64 // the same by part of the system
	lost  int
	units int
	took  time.Duration
}

func newResult(name, title, unit string, q quantity) *result {
	return &result{name: name, title: title, unit: unit, quantity: q, samples: map[string][]sample{}}
}

func (r *result) add(key string, m sample) { r.samples[key] = append(r.samples[key], m) }

// values are a system's, or those of one part of it.
func (r *result) values(key, part string) (v []float64) {
	for _, m := range r.samples[key] {
		if part == "" {
			v = append(v, m.value)
		} else {
			v = append(v, m.parts[part])
		}
	}
	return v
}

// lost is what never came, of all rounds and systems.
func (r *result) lost() (n int) {
	for _, samples := range r.samples {
		for _, m := range samples {
			n += m.lost
		}
	}
	return n
}

// keys are the systems that were measured, in order.
func (r *result) keys() (keys []string) {
	for key := range r.samples {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, cmp.Compare)
	return keys
}

// progress is what is said while the benchmark runs.
func (r *result) progress() string {
	var b strings.Builder
	for _, key := range r.keys() {
		median, low, high := spread(r.values(key, ""))
		last := r.samples[key][len(r.samples[key])-1]
		fmt.Fprintf(&b, "         %-3s %8.1f  (%.1f to %.1f) %s per %s, %d in %.2fs, %v\n", key, median, low, high, r.quantity, r.unit,
			last.units, last.took.Seconds(), last.parts)
	}
	if n := r.lost(); n > 0 {
		fmt.Fprintf(&b, "         LOST %d\n", n)
	}
	return b.String()
}
