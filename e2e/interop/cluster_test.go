//go:build e2e

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// kind is what a sender or a receiver is.
type kind string

const (
	goServer    kind = "Go"
	nodeServer  kind = "Node"
	goEmitter   kind = "Go emitter"
	nodeEmitter kind = "Node emitter"
)

// sender does operations; it is a server or an emitter.
type sender interface {
	// act does an operation with the rooms of c as they are, and returns what its caller is told.
	act(t *testing.T, c call, p payload) outcome
}

// server is a sender that others reach.
type server interface {
	sender
	name() string
	// inspect tells which clients are in which rooms, and which server-side events came since it
	// was last called.
	inspect(t *testing.T) state
}

// outcome is what the caller of an operation is told.
type outcome struct {
	Error   string
	Answers []json.RawMessage
}

// state is what is found on a server.
type state struct {
	Events []json.RawMessage
	Dates  int              // values of these events that are of JavaScript's type Date
	Rooms  map[string][]any // by client; numbers are float64
}

// drivers are the Node processes of the whole test: Node's servers are in two, all clients in a
// third.
type drivers struct {
	servers [2]*harness.Node
	clients *harness.Node
	fences  int
}

// testbed is two servers of each kind on one Redis, with three clients each, and the emitters.
type testbed struct {
	transport string
	drivers   *drivers
	servers   [4]server // two of ours, two of Node's
	senders   map[kind]sender
	ids       map[string]string // of sockets, by server/client
	rooms     int               // of those that calls have for themselves
}

// clientsOf lists the clients of a server.
var clientsOf = []string{"a", "b", "c"}

type fields = map[string]any

// startCluster returns once everybody hears everybody.
func startCluster(t *testing.T, transport transport, d *drivers, store *testkit.Redis) *testbed {
	t.Helper()
	key := "interop-" + strings.ReplaceAll(transport.name, ":", "-")
	c := &testbed{transport: transport.name, drivers: d, senders: map[kind]sender{}, ids: map[string]string{}}
	for i := range 2 {
		c.servers[i] = startGoServer(t, fmt.Sprint("go-", i), transport, store.URL(), key)
		c.servers[2+i] = startNodeServer(t, d.servers[i], fmt.Sprint("node-", i), transport, store.URL(), key)
	}
	c.senders[goServer], c.senders[nodeServer] = c.servers[0], c.servers[2]
	c.senders[goEmitter] = startGoEmitter(t, transport, store.URL(), key)
	if transport.nodeEmitter {
		c.senders[nodeEmitter] = startNodeEmitter(t, d.servers[0], store.URL(), key)
	}
	for _, s := range c.servers {
		for _, client := range clientsOf {
			name := s.name() + "/" + client
			var id string
			d.clients.Must("listener", fields{"name": name, "url": s.(interface{ url() string }).url(), "server": s.name(), "client": client,
				"rooms": clientRooms[client]}, &id)
			c.ids[name] = id
			t.Cleanup(func() { d.clients.Must("unlisten", fields{"name": name}, nil) })
		}
	}
	c.awaitRooms(t)
	c.awaitSubscriptions(t, store, key)
	for _, s := range c.servers {
		testkit.Until(t, s.name()+" to count four servers", func() bool {
			out := s.act(t, call{Do: "serverCount"}, none[0])
			return out.Error == "" && string(out.Answers[0]) == "4"
		})
	}
	return c
}

// roomOf is a room that only clients of one server are in.
func roomOf(server string) string { return "of " + server }

// awaitRooms returns once all clients are in their rooms: they are told that they are connected a
// little before.
func (c *testbed) awaitRooms(t *testing.T) {
	t.Helper()
	for _, s := range c.servers {
		testkit.Until(t, "clients of "+s.name(), func() bool {
			rooms := s.inspect(t).Rooms
			for _, client := range clientsOf {
				if len(rooms[client]) < 2+len(clientRooms[client]) {
					return false
				}
			}
			return true
		})
	}
}

// awaitSubscriptions returns once the servers are subscribed to the channels of rooms, where these
// have channels.
func (c *testbed) awaitSubscriptions(t *testing.T, store *testkit.Redis, key string) {
	t.Helper()
	mode, sharded := strings.CutPrefix(c.transport, "redis-sharded:")
	if !sharded || mode == "static" {
		return
	}
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	defer client.Close()
	want := map[string]int64{}
	for _, rooms := range clientRooms {
		for _, room := range rooms {
			want[fmt.Sprint(key, "#/#", room, "#")] = 4 // the rooms 42 and "42" have one channel
		}
	}
	if mode == "dynamic-private" {
		for _, id := range c.ids {
			want[fmt.Sprint(key, "#/#", id, "#")] = 1
		}
	}
	var channels []string
	for channel := range want {
		channels = append(channels, channel)
	}
	testkit.Until(t, "subscriptions to rooms", func() bool {
		got, err := client.PubSubShardNumSub(context.Background(), channels...).Result()
		for channel, n := range want {
			if err != nil || got[channel] != n {
				return false
			}
		}
		return true
	})
}

// fence has a sender tell all clients that it has said everything, and returns what each has heard
// since the last fence. What one sender says arrives in order, so nothing of it is still under way
// then.
func (c *testbed) fence(t *testing.T, from sender, gone ...string) map[string][]string {
	t.Helper()
	c.drivers.fences++
	from.act(t, call{Do: "emit", Event: "fence"}, payload{golang: []any{c.drivers.fences}, javascript: fmt.Sprint("[", c.drivers.fences, "]")})
	heard := map[string][]string{}
	for _, s := range c.servers {
		for _, client := range clientsOf {
			if slices.Contains(gone, client) {
				continue
			}
			name := s.name() + "/" + client
			e := c.drivers.clients.Next(name, "fence")
			for e.ID < c.drivers.fences {
				e = c.drivers.clients.Next(name, "fence")
			}
			for _, message := range e.Heard {
				heard[name] = append(heard[name], string(message))
			}
		}
	}
	return heard
}
