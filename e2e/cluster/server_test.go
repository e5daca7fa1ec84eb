package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// server is an adapter with the main namespace, and one socket that isn't there: its rooms are what
// a client's would be.
type server struct {
	a     *adapter.Adapter
	space cluster.Adapter
	crowd *crowd
	stop  func()
}

// startServer starts the adapter of a member.
func startServer(t testing.TB, s store, form adapter.Form, i int) *server {
	t.Helper()
	name := fmt.Sprintf("host-%d/worker-1", i)
	a, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: s.url}, Form: form, Name: name, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	crowd := &crowd{socket: "socket-of-" + name, rooms: make(map[string]bool)}
	space, err := a.Open(crowd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return &server{a: a, space: space, crowd: crowd, stop: func() { cancel(); running.Wait() }}
}

// starters is how many members start at a time. All at once, their first messages to each other
// would be the square of their number, and this process has the CPUs of one machine for all.
const starters = 25

// startServers starts n servers, and returns when all hear all.
func startServers(t testing.TB, s store, form adapter.Form, n int) []*server {
	t.Helper()
	all := make([]*server, n)
	var starting errgroup.Group
	starting.SetLimit(starters)
	for i := range all {
		starting.Go(func() error {
			all[i] = startServer(t, s, form, i)
			return all[i].a.Wait(t.Context())
		})
	}
	if err := starting.Wait(); err != nil {
		t.Error(err)
	}
	return all
}

func stopServers(all []*server) {
	var stopping sync.WaitGroup
	for _, s := range all {
		stopping.Go(s.stop)
	}
	stopping.Wait()
}

// counts returns when the server counts n.
func (s *server) counts(t testing.TB, n int) {
	t.Helper()
	testkit.Until(t, "the servers to be counted", func() bool {
		counted, err := s.space.ServerCount(t.Context())
		return err == nil && counted == n
	})
}

// crowd is the sockets of a member: one, in many rooms.
type crowd struct {
	socket    string
	delivered atomic.Int64
	watcher   func(room, id string, occupied bool)

	mu    sync.RWMutex // guards the rest
	rooms map[string]bool
}

func (c *crowd) Name() string { return "/" }

func (c *crowd) HasRoom(room []byte) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.rooms[string(room)]
}

func (c *crowd) Deliver(*cluster.Broadcast) { c.delivered.Add(1) }

func (c *crowd) Apply(cluster.Order) {}

// Answer describes the socket.
func (c *crowd) Answer(q cluster.Question, answer func(cluster.Answer)) {
	answer(cluster.Answer{Sockets: []cluster.SocketInfo{{
		ID: c.socket, Rooms: []string{c.socket}, Handshake: []byte(handshake), Data: packet.Payload{JSON: []byte(`{}`)},
	}}})
}

// WatchRooms implements cluster.RoomWatcher.
func (c *crowd) WatchRooms(changed func(room, id string, occupied bool)) { c.watcher = changed }

// join puts the socket into a room.
func (c *crowd) join(room string) {
	c.mu.Lock()
	c.rooms[room] = true
	c.mu.Unlock()
	if c.watcher != nil {
		c.watcher(room, c.socket, true)
	}
}

// leave takes the socket out of all its rooms.
func (c *crowd) leave() {
	c.mu.Lock()
	rooms := c.rooms
	c.rooms = make(map[string]bool)
	c.mu.Unlock()
	for room := range rooms {
		if c.watcher != nil {
			c.watcher(room, "", false)
		}
	}
}

// handshake is as large as that of a browser.
const handshake = `{"headers":{"host":"example.org","user-agent":"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",` +
	`"accept":"*/*","accept-language":"en-US,en;q=0.5","accept-encoding":"gzip, deflate, br","origin":"https://example.org",` +
	`"connection":"keep-alive, Upgrade","pragma":"no-cache"},"time":"Sat Nov 21 2026 06:00:00 GMT+0000","address":"203.0.113.9",` +
	`"xdomain":true,"secure":true,"issued":1795240800000,"url":"/socket.io/?EIO=4&transport=websocket","query":{"EIO":"4","transport":"websocket"},"auth":{}}`

// said is an event of 128 bytes.
var said = packet.Payload{JSON: []byte(`["said",{"msg":"` + fmt.Sprintf("%0104d", 0) + `"}]`)}
