package plug

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

const (
	clients = 48 // at most 64, for set
	rooms   = 8
	// tick is the time between two messages, each of the next client.
	tick = 10 * time.Millisecond
	// pollers is which part of the clients polls: each fourth.
	pollers = 4
)

// room is the members of a client's room.
func room(client int) (members set) {
	for c := client % rooms; c < clients; c += rooms {
		members |= 1 << c
	}
	return members
}

// swarm is the simulated clients.
type swarm struct {
	clients []*client.Client
	sockets []*client.Socket

	mu      sync.Mutex
	ledger  *ledger
	members set      // who has joined a room
	places  []string // the worker id of each client; empty: none
	next    uint64   // message
	anew    uint64   // connections after the first that were not recovered
	back    uint64   // recovered connections
}

// newSwarm makes the clients of a server. None is connected yet.
func newSwarm(url, path string) (*swarm, error) {
	s := &swarm{ledger: newLedger(clients), places: make([]string, clients)}
	for i := range clients {
		cfg := client.Config{
			URL: url, Path: path, Transports: []string{client.WebSocket}, Log: slog.New(slog.DiscardHandler),
			TLS: &tls.Config{InsecureSkipVerify: true}, // the host's own certificate is for its public name
		}
		if i%pollers == 0 {
			cfg.Transports = []string{client.Polling}
		}
		c, err := client.New(cfg)
		if err != nil {
			return nil, fmt.Errorf("plug: %w", err)
		}
		s.clients = append(s.clients, c)
		s.sockets = append(s.sockets, s.socket(c, i))
	}
	return s, nil
}

// said is a message as its receivers get it.
type said struct {
	N uint64 `json:"n"`
}

// socket says what a client does with what happens to it.
func (s *swarm) socket(c *client.Client, i int) *client.Socket {
	socket := c.Of("/")
	socket.OnConnect(func() {
		if socket.Recovered() {
			s.joined(i, true)
			s.locate(socket, i)
			return
		}
		_ = socket.WithAck(func(_ client.Args, err error) { // else it will connect again
			if err == nil {
				s.joined(i, false)
				s.locate(socket, i)
			}
		}).Emit("join", roomName(i))
	})
	socket.OnDisconnect(func(string, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ledger.lose(i)
		s.places[i] = ""
	})
	socket.On("said", func(m struct {
		Msg said `json:"msg"`
	}) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ledger.hear(m.Msg.N, i, time.Now())
	})
	return socket
}

func roomName(client int) string { return fmt.Sprintf("plug-%d", client%rooms) }

// joined notes that a client is in its room.
func (s *swarm) joined(i int, recovered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case recovered:
		s.back++
	case s.members.has(i):
		s.anew++
	}
	s.members |= 1 << i
	s.ledger.connect(i, recovered, time.Now())
}

// locate asks which worker a client is at.
func (s *swarm) locate(socket *client.Socket, i int) {
	_ = socket.WithAck(func(answer client.Args, err error) { // else it will connect again
		var at struct {
			Worker string `json:"worker"`
		}
		if err == nil && answer.Decode(0, &at) == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.places[i] = at.Worker
		}
	}).Emit("whoami")
}

// run connects the clients and lets them talk until ctx ends. Then it closes them.
func (s *swarm) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, socket := range s.sockets {
		wg.Go(func() { _ = socket.Connect(ctx) }) // it tries again by itself, and the page shows who is away
	}
	s.talk(ctx)
	for _, c := range s.clients {
		wg.Go(func() { _ = c.Close() }) // it returns nil
	}
	wg.Wait()
}

// talk sends a message each tick, and settles accounts each second.
func (s *swarm) talk(ctx context.Context) {
	sending, settling := time.NewTicker(tick), time.NewTicker(time.Second)
	defer sending.Stop()
	defer settling.Stop()
	for turn := 0; ; {
		select {
		case <-ctx.Done():
			return
		case now := <-settling.C:
			s.mu.Lock()
			s.ledger.settle(now)
			s.mu.Unlock()
		case <-sending.C:
			s.say(turn % clients)
			turn++
		}
	}
}

// say sends a message to the room of a client, unless the client is away.
func (s *swarm) say(i int) {
	s.mu.Lock()
	if s.ledger.back[i].IsZero() {
		s.mu.Unlock()
		return
	}
	n := s.next
	s.next++
	s.ledger.send(n, room(i)&s.members, time.Now())
	s.mu.Unlock()
	// An event of a client that was lost this moment waits for the next connection.
	_ = s.sockets[i].Emit("say", map[string]any{"room": roomName(i), "msg": said{n}})
}

// view is the swarm at one moment.
type view struct {
	Counts    Counts         `json:"counts"`
	Due       int            `json:"due"` // arrivals that are awaited for more than a second
	Clients   int            `json:"clients"`
	Away      int            `json:"away"`
	Recovered uint64         `json:"recovered"` // connections that resumed their session
	Anew      uint64         `json:"anew"`      // connections that couldn't
	Places    []place        `json:"places"`    // of the clients
	At        map[string]int `json:"-"`         // clients by worker id
}

// place is where a client is.
type place struct {
	Worker string `json:"worker"` // its id; empty: the client is away
	Polls  bool   `json:"polls"`
}

func (s *swarm) view() view {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := view{
		Counts: s.ledger.counts, Due: s.ledger.due(time.Now()), Clients: clients, Away: s.ledger.away(), Recovered: s.back, Anew: s.anew, At: map[string]int{},
	}
	for i, worker := range s.places {
		v.Places = append(v.Places, place{worker, i%pollers == 0})
		if worker != "" {
			v.At[worker]++
		}
	}
	return v
}
