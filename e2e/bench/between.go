//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Two servers of a kind on a Redis of their own: the first sends, the second is what is measured.
const (
	oursTwo = "P"
	nodeTwo = "Q"
	bareTwo = "R"
)

// quietEnv, set to anything, keeps servers from sending pings: sessions whose poll never comes
// would end.
const quietEnv = "BENCH_QUIET"

// pairOf starts a Redis and two servers on it.
func (f *fleet) pairOf(s *system) error {
	url, err := f.redis(s)
	if err != nil {
		return err
	}
	for range 2 {
		switch s.key {
		case oursTwo:
			err = s.start("worker", []string{"SIDEREAL_ADDR=" + s.entry(), "SIDEREAL_REDIS_URL=" + url, "SIDEREAL_LOG_LEVEL=warn", quietEnv + "=1"}, f.self, roleApp)
		case nodeTwo:
			err = f.nodeAt(s, s.entry(), "REDIS_URL="+url, quietEnv+"=1")
		case bareTwo:
			err = s.start("floor", []string{"BENCH_ADDR=" + s.entry(), "REDIS_URL=" + url}, f.self, roleBare)
		}
		if err != nil {
			return err
		}
	}
	s.redis = strings.TrimPrefix(url, "redis://")
	return nil
}

// process is one of the system's servers alone.
func (s *system) process(i int) *system { return &system{key: s.key, parts: s.parts[1+i : 2+i]} }

// message is what a server said to the others.
type message struct{ channel, payload string }

// receiving is messages from another server that the second one reads, one after another as fast as
// it can. Its clients are polling sessions whose poll does not come: what is for them is queued,
// and nothing is sent.
type receiving struct {
	*system
	said     *volley
	fence    message // the last one, which a real client hears
	redis    *redis.Client
	first    *swarm // a client of the sender
	last     *swarm // the client that hears the fence
	sessions []pollSession
}

type pollSession struct {
	conn *httpConn
	sid  string
}

func prepareReceive(room string, sessions, most int) func(context.Context, *system, options) (load, error) {
	return func(ctx context.Context, s *system, o options) (_ load, err error) {
		l := &receiving{system: s, redis: redis.NewClient(&redis.Options{Addr: s.redis})}
		defer func() {
			if err != nil {
				l.close()
			}
		}()
		if l.first, err = open(ctx, s.entries[:1], 1, false, nil); err != nil {
			return nil, err
		}
		if l.last, err = open(ctx, s.entries[1:], 1, false, nil); err != nil {
			return nil, err
		}
		if s.key != bareTwo { // which has no sessions, and counts
			if l.sessions, err = openPolling(ctx, s.entries[1], sessions, room); err != nil {
				return nil, err
			}
		}
		if _, err = l.last.ask(ctx, func(int) string { return `["join","fence"]` }); err != nil {
			return nil, err
		}
		said, err := l.overheard(ctx, room)
		if err != nil {
			return nil, err
		}
		if l.said, err = openVolley(ctx, s.redis, said, pick(o.quick, most/4, most)); err != nil {
			return nil, err
		}
		l.last.tally.expect(1) // which hears what it is about to say
		if l.fence, err = l.overheard(ctx, "fence"); err != nil {
			return nil, err
		}
		if lost := l.last.tally.wait(ctx); lost > 0 {
			return nil, errors.New("the second server does not hear the first")
		}
		return l, l.clear(ctx)
	}
}

// openPolling begins sessions that are in a room.
func openPolling(ctx context.Context, addr string, n int, room string) ([]pollSession, error) {
	sessions := make([]pollSession, n)
	var g errgroup.Group
	for first := range min(n, pollConnections) {
		g.Go(func() error {
			conn, err := dialHTTP(ctx, addr, first)
			if err != nil {
				return err
			}
			for i := first; i < n; i += pollConnections {
				sid, err := pollOpen(conn)
				if err != nil {
					return err
				}
				if _, err := conn.do(sid, `420["join","`+room+`"]`); err != nil {
					return err
				}
				sessions[i] = pollSession{conn, sid}
			}
			return ctx.Err()
		})
	}
	return sessions, g.Wait()
}

// overheard is what the first server says to the others when its client says something to a room.
func (l *receiving) overheard(ctx context.Context, room string) (message, error) {
	sub := l.redis.PSubscribe(ctx, "socket.io#/#*")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		return message{}, err
	}
	if lost, err := l.first.ask(ctx, func(int) string { return say(128, room) }); err != nil || lost > 0 {
		return message{}, fmt.Errorf("%d answers lost, %w", lost, err)
	}
	m, err := sub.ReceiveMessage(ctx)
	if err != nil {
		return message{}, err
	}
	return message{m.Channel, m.Payload}, nil
}

func (l *receiving) measured() *system { return l.process(1) }

func (l *receiving) round(ctx context.Context) (units, lost int, err error) {
	l.last.tally.expect(1)
	units, err = l.said.fire()
	if err != nil {
		return 0, 0, err
	}
	if err := l.redis.Publish(ctx, l.fence.channel, l.fence.payload).Err(); err != nil {
		return 0, 0, err
	}
	return units, l.last.tally.wait(ctx), nil
}

// clear polls what has been queued.
func (l *receiving) clear(ctx context.Context) error {
	var g errgroup.Group
	for first := range min(len(l.sessions), pollConnections) {
		g.Go(func() error {
			for i := first; i < len(l.sessions); i += pollConnections {
				if _, err := l.sessions[i].conn.do(l.sessions[i].sid, ""); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

func (l *receiving) close() {
	for _, s := range l.sessions {
		if s.conn != nil {
			_, _ = s.conn.do(s.sid, "1") // or it stays as long as its server
		}
	}
	for _, s := range l.sessions[:min(len(l.sessions), pollConnections)] {
		if s.conn != nil {
			s.conn.conn.Close()
		}
	}
	for _, s := range []*swarm{l.first, l.last} {
		if s != nil {
			s.close()
		}
	}
	if l.said != nil {
		l.said.close()
	}
	_ = l.redis.Close()
}

// publishing is a server that tells a room of others something, many times in one turn.
type publishing struct {
	*system
	n     int
	redis *redis.Client
	sub   *redis.PubSub
	first *swarm
}

func preparePublish(ctx context.Context, s *system, o options) (load, error) {
	l := &publishing{system: s, n: pick(o.quick, 2500, 10_000), redis: redis.NewClient(&redis.Options{Addr: s.redis})}
	var err error
	if l.first, err = open(ctx, s.entries[:1], 1, false, nil); err != nil {
		return nil, err
	}
	l.sub = l.redis.Subscribe(ctx, "socket.io#/#elsewhere#")
	_, err = l.sub.Receive(ctx)
	return l, err
}

func (l *publishing) measured() *system           { return l.process(0) }
func (l *publishing) clear(context.Context) error { return nil }

func (l *publishing) round(ctx context.Context) (units, lost int, err error) {
	if lost, err = l.first.ask(ctx, func(int) string { return fmt.Sprintf(`["publish",%d]`, l.n) }); err != nil {
		return 0, lost, err
	}
	limited, cancel := context.WithTimeout(ctx, lossPatience)
	defer cancel()
	for got := range l.n {
		if _, err := l.sub.ReceiveMessage(limited); err != nil {
			return l.n, lost + l.n - got, ctx.Err()
		}
	}
	return l.n, lost, nil
}

func (l *publishing) close() {
	_ = l.sub.Close()
	_ = l.redis.Close()
	l.first.close()
}

// between is the quantity of servers beside each other.
const between quantity = "CPU µs of one server"

// latencyItem is what runLatency measures, in delay.
const (
	latencyItem          = "other-latency"
	delay       quantity = "µs"
)

// runLatency measures the way from a client of one server over Redis to a client of the other, as
// the 99th percentile of a round: a message a millisecond. Within a round the systems take turns
// every tenth of a second: what else happens on the machine makes the tail, and meets all of them.
func runLatency(ctx context.Context, f *fleet, it *item, o options) ([]*result, error) {
	r := newResult(it.name, it.title, it.unit, delay)
	var pairs []*distance
	defer func() {
		for _, d := range pairs {
			d.close()
		}
	}()
	for _, key := range it.systems {
		s, err := f.get(ctx, key)
		if err != nil {
			return nil, err
		}
		d, err := newDistance(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		pairs = append(pairs, d)
		if err := d.measure(ctx, 500); err != nil { // warm
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		d.sample(ctx)
	}
	for range o.rounds {
		for range pick(o.quick, 5, 20) {
			for _, d := range pairs {
				if err := d.measure(ctx, 100); err != nil {
					return nil, fmt.Errorf("%s: %w", d.s.key, err)
				}
			}
		}
		for _, d := range pairs {
			r.add(d.s.key, d.sample(ctx))
		}
	}
	return []*result{r}, nil
}

// distance is a client of each server of a pair.
type distance struct {
	s     *system
	first *swarm
	last  *client
	took  chan time.Duration
	all   []float64 // microseconds, since the last sample
}

func newDistance(ctx context.Context, s *system) (*distance, error) {
	first, err := open(ctx, s.entries[:1], 1, false, nil)
	if err != nil {
		return nil, err
	}
	last, err := dial(ctx, s.entries[1], 0, false)
	if err != nil {
		return nil, err
	}
	d := &distance{s: s, first: first, last: last, took: make(chan time.Duration, 1)}
	if err := last.ask(`["join","timed"]`); err != nil {
		return nil, err
	}
	if err := last.expect(`430["ok"]`); err != nil {
		return nil, err
	}
	go d.read()
	return d, nil
}

// epoch is when times are counted from; a time in nanoseconds since then is in each message, padded
// to 128 bytes.
var epoch = time.Now()

// measure sends n messages.
func (d *distance) measure(ctx context.Context, n int) error {
	for range n {
		text := fmt.Sprintf("%0128d", time.Since(epoch))
		d.first.tally.expect(1)
		if err := d.first.clients[0].ask(`["say",{"room":"timed","msg":"` + text + `"}]`); err != nil {
			return err
		}
		select {
		case took := <-d.took:
			d.all = append(d.all, float64(took)/float64(time.Microsecond))
		case <-time.After(lossPatience):
			return errors.New("a message did not arrive")
		case <-ctx.Done():
			return ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// sample is what was measured since the last one.
func (d *distance) sample(ctx context.Context) sample {
	m := sample{
		value: percentile(d.all, 99), parts: map[string]float64{"median": percentile(d.all, 50), "90 %": percentile(d.all, 90)},
		units: len(d.all), lost: d.first.tally.wait(ctx),
	}
	d.all = d.all[:0]
	return m
}

// read takes the times that come.
func (d *distance) read() {
	for {
		_, p, scratch, err := readFrame(d.last.r, d.last.scratch)
		if err != nil {
			return
		}
		d.last.scratch = scratch
		_, rest, found := strings.Cut(string(p), `"msg":"`)
		if !found || len(rest) < 128 {
			if string(p) == "2" {
				_ = d.last.send(opText, "3")
			}
			continue
		}
		var at time.Duration
		for _, digit := range rest[:128] {
			at = at*10 + time.Duration(digit-'0')
		}
		d.took <- time.Since(epoch) - at
	}
}

func (d *distance) close() {
	d.first.close()
	d.last.close()
}

// percentile is the value that so many percent do not exceed.
func percentile(values []float64, percent int) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[(len(v)-1)*percent/100]
}
