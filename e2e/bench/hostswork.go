//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// entry is a way in which clients come to their sessions' hosts.
type entry struct {
	key, title string
	routes     func(*system) routes
}

// routes say at which hosts the i-th client enters.
type routes struct {
	home func(i int) int // where its session is
	door func(i int) int // where its WebSocket or its requests enter
	next bool            // each request of a polling session enters at the next host
}

const (
	entryHome   = "home"
	entryRandom = "random"
	entryOne    = "one"
)

// entries are those that the report compares. In each the hosts have the same number of sessions, as
// the routers see to, and in an order that puts the members of a room on all hosts.
var entries = []entry{
	{entryHome, "at the session's host", func(s *system) routes {
		home := shuffled(len(s.entries))
		return routes{home: home, door: home}
	}},
	{entryRandom, "at random", func(s *system) routes {
		random := rand.New(rand.NewPCG(1, 2))
		doors := make([]int, 4096)
		for i := range doors {
			doors[i] = random.IntN(len(s.entries))
		}
		return routes{home: shuffled(len(s.entries)), door: func(i int) int { return doors[i%len(doors)] }, next: true}
	}},
	{entryOne, "all at one host", func(s *system) routes {
		return routes{home: shuffled(len(s.entries)), door: func(int) int { return 0 }}
	}},
}

// shuffled gives as many clients to each host, in an order that is the same in each run.
func shuffled(hosts int) func(i int) int {
	random := rand.New(rand.NewPCG(3, 4))
	order := make([]int, 0, 4096)
	for len(order) < cap(order) {
		order = append(order, random.Perm(hosts)...)
	}
	return func(i int) int { return order[i%len(order)] }
}

// work is what the clients do. Prepare also returns the share of sessions on another host than the
// entry's, or -1 where each request enters anew.
type work struct {
	name, title, unit string
	prepare           prepare
}

// A round has ten of these, or one in a test.
const (
	hostsEchoes = 30  // of each socket
	hostsPaced  = 150 // ms of echoes in their own time
	hostsSays   = 5   // in each room
	hostsPolls  = 60  // echoes of each connection
)

// hostsPace is how many echoes a socket sends in a second, if in its own time.
const hostsPace = 20

var (
	workRest = work{name: "rest", title: "At rest", unit: "host and second"}

	works = []work{
		{"echo-each", "Echo with ack of 128 B, 500 a second over 25 sockets at each host", "echo", echoes(true, true)},
		{"echo-paced", "Echo, 4,000 a second over 200 sockets in all", "echo", echoes(false, true)},
		{"echo", "Echo in a closed loop over 200 sockets in all", "echo", echoes(false, false)},
		{"room-each", "Delivery to a room of 10 on all hosts, 12 rooms for each host", "delivery", talks(true)},
		{"room", "Delivery, 100 rooms in all", "delivery", talks(false)},
		{"poll-each", "Polling, 2 connections to each host (an echo is one POST and one GET)", "request", polls(true)},
		{"poll", "Polling, 16 connections in all", "request", polls(false)},
	}
)

// prepare makes a load, which does so much in a round.
type prepare = func(ctx context.Context, s *system, r routes, amount int) (load, float64, error)

// share is a number of clients: that for eight hosts, and as much for each of them if each is set.
func share(s *system, each bool, ofEight int) int {
	if each {
		return max(ofEight*len(s.entries)/8, 1)
	}
	return ofEight
}

// rounds is how often each client works. Fewer clients do as much together as those of eight hosts.
func rounds(s *system, each bool, n int) int {
	if each {
		return n * 8 / min(len(s.entries), 8)
	}
	return n
}

func echoes(each, paced bool) prepare {
	send := func(c *client) { _ = c.ask(echoArgs) } // a failure is missed in the tally
	return func(ctx context.Context, s *system, r routes, amount int) (load, float64, error) {
		n := share(s, each, echoSockets)
		if paced {
			swarm, relayed, err := r.open(ctx, s, n, nil)
			return echoOpen(swarm, n*hostsPace*hostsPaced*amount/1000, n*hostsPace), relayed, err
		}
		swarm, relayed, err := r.open(ctx, s, n, send)
		return &closedLoop{swarm, hostsEchoes * amount, 1, send}, relayed, err
	}
}

func talks(each bool) prepare {
	return func(ctx context.Context, s *system, r routes, amount int) (load, float64, error) {
		rooms := share(s, each, rooms)
		args := map[*client]string{}
		swarm, relayed, err := r.open(ctx, s, rooms*roomSize, func(c *client) { _ = c.ask(args[c]) })
		if err != nil {
			return nil, 0, err
		}
		for i, c := range swarm.clients[:rooms] {
			args[c] = say(128, fmt.Sprintf("r%d", i))
		}
		lost, err := swarm.ask(ctx, func(i int) string { return fmt.Sprintf(`["join","r%d"]`, i%rooms) })
		if err == nil && lost > 0 {
			err = fmt.Errorf("%d joins without an answer", lost)
		}
		if err != nil {
			swarm.close()
		}
		return &roomTalk{swarm, rooms, rounds(s, each, hostsSays*amount)}, relayed, err
	}
}

// open connects n clients by the routes, and returns the share that is on another host than its
// entry.
func (r routes) open(ctx context.Context, s *system, n int, again func(*client)) (*swarm, float64, error) {
	away := make([]int, n)
	swarm, err := gatherSwarm(ctx, n, again, func(ctx context.Context, i int) (*client, error) {
		for end := time.Now().Add(dialTimeout); ; {
			c, host, err := r.dial(ctx, s, i)
			if err != nil {
				return nil, err
			}
			if host == hostName(r.home(i)) {
				away[i] = pick(r.door(i) == r.home(i), 0, 1)
				return c, nil
			}
			c.close() // the router's view of the loads is some seconds old: once more
			if time.Now().After(end) {
				return nil, fmt.Errorf("client %d is on %s", i, host)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	total := 0
	for _, n := range away {
		total += n
	}
	return swarm, float64(total) / float64(n), err
}

// dial connects a client, and returns the host of its session. A client whose session shall be on
// another host than its entry begins with polling, as the official client does.
func (r routes) dial(ctx context.Context, s *system, i int) (c *client, host string, err error) {
	if home, door := r.home(i), r.door(i); home == door {
		c, err = dial(ctx, s.entries[door], i, false)
	} else {
		c, err = upgrade(ctx, s.entries[home], s.entries[door], i)
	}
	if err != nil {
		return nil, "", err
	}
	if host, err = c.whereabouts(); err != nil {
		c.close()
	}
	return c, host, err
}

// upgrade begins a session with polling at one host, and goes on with a WebSocket that enters at
// another.
func upgrade(ctx context.Context, home, door string, i int) (*client, error) {
	first, err := dialHTTP(ctx, home, i)
	if err != nil {
		return nil, err
	}
	defer first.conn.Close()
	res, err := first.do("", "")
	if err != nil {
		return nil, err
	}
	sid, err := sidOf(res)
	if err != nil {
		return nil, err
	}
	conn, err := dialer(i).DialContext(ctx, "tcp", door)
	if err != nil {
		return nil, err
	}
	c := newClient(conn)
	if err := c.upgrade(door, sid); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func sidOf(handshake string) (string, error) {
	_, rest, _ := strings.Cut(handshake, `"sid":"`)
	sid, _, found := strings.Cut(rest, `"`)
	if !found {
		return "", fmt.Errorf("handshake: %q", handshake)
	}
	return sid, nil
}

func (c *client) upgrade(addr, sid string) error {
	if err := c.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	if err := c.shake(addr, "&sid="+sid, ""); err != nil {
		return err
	}
	if err := c.send(opText, "2probe"); err != nil {
		return err
	}
	if err := c.expect("3probe"); err != nil {
		return err
	}
	if err := c.send(opText, "5"); err != nil {
		return err
	}
	return c.join()
}

// whereabouts asks for the host of the session. Nobody else may read yet.
func (c *client) whereabouts() (host string, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return "", err
	}
	if err := c.ask(`["whoami"]`); err != nil {
		return "", err
	}
	_, p, scratch, err := readFrame(c.r, c.scratch)
	if err != nil {
		return "", err
	}
	c.scratch = scratch
	c.acked = c.sent.Load()
	var answer []struct {
		Host string `json:"host"`
	}
	_, text, _ := strings.Cut(string(p), "[")
	if err := json.Unmarshal([]byte("["+text), &answer); err != nil || len(answer) != 1 {
		return "", fmt.Errorf("whoami: %q", p)
	}
	return answer[0].Host, c.conn.SetDeadline(time.Time{})
}

// polls open sessions that share connections.
func polls(each bool) prepare {
	return func(ctx context.Context, s *system, r routes, amount int) (load, float64, error) {
		l := &pollRequests{n: rounds(s, each, hostsPolls*amount)}
		fail := func(err error) (load, float64, error) { l.close(); return nil, 0, err }
		for i := range share(s, each, pollConnections) {
			home, door := r.home(i), r.door(i)
			way := []string{s.entries[door]}
			if r.next {
				way = append(way, append(s.entries[door+1:len(s.entries):len(s.entries)], s.entries[:door]...)...)
			}
			first, err := dialHTTP(ctx, s.entries[home], i)
			if err != nil {
				return fail(err)
			}
			var sids []string
			for range pollSessionsPer {
				sid, err := pollOpen(first)
				if err != nil {
					first.conn.Close()
					return fail(err)
				}
				sids = append(sids, sid)
			}
			first.conn.Close()
			conns, err := dialEach(ctx, &system{entries: way}, i)
			if err != nil {
				return fail(err)
			}
			l.conns, l.sids = append(l.conns, conns), append(l.sids, sids)
		}
		return l, -1, nil
	}
}

// quiet returns once no host has clients of an earlier work.
func (s *system) quiet(ctx context.Context) error {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		n, err := s.clients(ctx)
		switch {
		case err != nil:
			return err
		case n <= 1: // the one that asks
			return ctx.Err()
		case time.Now().After(end):
			return fmt.Errorf("%d clients stay", n)
		}
	}
}

// clients counts the clients of all workers.
func (s *system) clients(ctx context.Context) (int, error) { return clientsOf(ctx, s.entries[0], "") }
