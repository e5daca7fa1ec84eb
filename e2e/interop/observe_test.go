//go:build e2e

package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// observation is what an operation did to one server and its clients, and what that server told the
// caller. Names and ids that differ between servers are left out, so that two observations can be
// compared.
type observation struct {
	Heard   map[string][]string `json:"heard,omitempty"`  // by the clients
	Events  []string            `json:"events,omitempty"` // server-side
	Dates   int                 `json:"dates,omitempty"`  // values of theirs that are a Date, at one of Node's servers
	Members []string            `json:"members,omitempty"`
	Ended   string              `json:"ended,omitempty"` // why c was disconnected
	Answers []string            `json:"answers,omitempty"`
	Told    int                 `json:"told,omitempty"` // values in these answers that are a Date, if one of Node's servers was told them
	Error   string              `json:"error,omitempty"`
}

func (o observation) String() string {
	text, _ := json.Marshal(o) // strings only
	return string(text)
}

// observe has a sender do an operation, and returns what it did to each of the other servers.
func (c *testbed) observe(t *testing.T, op operation, from sender, p payload) map[string]observation {
	t.Helper()
	call := c.prepare(t, op)
	out := c.act(t, from, call, p)
	seen := map[string]*observation{}
	for _, s := range c.servers {
		seen[s.name()] = &observation{Heard: map[string][]string{}, Error: out.Error}
	}
	c.sortAnswers(t, op, out.Answers, seen)
	if op.ends {
		c.comeBack(t, seen)
	}
	for name, heard := range c.fence(t, from) {
		server, client, _ := strings.Cut(name, "/")
		seen[server].Heard[client] = heard
	}
	c.look(t, op, call, from, seen)
	all := map[string]observation{}
	for _, s := range c.servers {
		if s != from {
			all[s.name()] = *seen[s.name()]
		}
	}
	return all
}

// act has a sender do an operation; one for the id of a socket is done for one of each server.
func (c *testbed) act(t *testing.T, from sender, call call, p payload) (out outcome) {
	t.Helper()
	if !slices.Equal(call.Rooms, []any{idOfA}) {
		return from.act(t, call, p)
	}
	for _, s := range c.servers {
		call.Rooms = []any{c.ids[s.name()+"/a"]}
		out = from.act(t, call, p)
	}
	return out
}

// prepare fills in what the call leaves open, and has clients join the room that they are to leave.
func (c *testbed) prepare(t *testing.T, op operation) call {
	t.Helper()
	c.rooms++
	call := op.call
	if call.Event == "" {
		call.Event = "said"
	}
	call.Join = slices.Clone(call.Join)
	for i, room := range call.Join {
		switch room {
		case ownRoom:
			call.Join[i] = fmt.Sprint("room ", c.rooms)
		case numberedRoom:
			call.Join[i] = 1000 + c.rooms
		}
	}
	if op.leaves {
		for _, s := range c.servers {
			s.act(t, callLocalJoin(call.Join), none[0])
		}
	}
	return call
}

func callLocalJoin(rooms []any) call {
	return call{Do: "join", Rooms: []any{"one", "two"}, Local: true, Join: rooms}
}

// sortAnswers gives each server what it told the caller: clients' answers and servers' carry its
// name.
func (c *testbed) sortAnswers(t *testing.T, op operation, answers []json.RawMessage, seen map[string]*observation) {
	t.Helper()
	for _, text := range answers {
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		if op.Do == "allRooms" {
			list(v.([]any), seen)
			continue
		}
		object, ok := v.(fields)
		if !ok { // of nobody in particular
			for _, o := range seen {
				o.Answers = append(o.Answers, canonical(v))
			}
			continue
		}
		dates, _ := object["dates"].(float64)
		delete(object, "dates")
		if op.Do == "fetch" {
			describe(object)
		}
		server := object["server"]
		delete(object, "server")
		if o := seen[fmt.Sprint(server)]; o != nil {
			o.Told += int(dates)
			o.Answers = append(o.Answers, canonical(object))
		} else {
			t.Errorf("an answer from %v: %s", server, text)
		}
	}
	for _, o := range seen {
		slices.Sort(o.Answers)
	}
}

// list notes of a list of all rooms whether those that everybody has are in it, and that of each
// server.
func list(listed []any, seen map[string]*observation) {
	for server, o := range seen {
		for _, room := range []any{roomOf(server), "one", "two", "doomed", "all", float64(number), fmt.Sprint(number), oddRoom} {
			times := 0
			for _, r := range listed {
				if r == room {
					times++
				}
			}
			o.Answers = append(o.Answers, strings.ReplaceAll(fmt.Sprintf("%v, a %T: %d", room, room, times), server, "its own"))
		}
	}
}

// describe replaces what differs from socket to socket in what fetchSockets tells.
func describe(socket fields) {
	id := socket["id"]
	socket["id"] = fmt.Sprintf("%T of %d", id, len(fmt.Sprint(id)))
	rooms, _ := socket["rooms"].([]any)
	names := []string{}
	for _, room := range rooms {
		if server, ok := room.(string); ok && strings.HasPrefix(server, roomOf("")) {
			room = roomOf("its server")
		}
		names = append(names, canonical(cmp.Or(map[bool]any{true: "its id"}[room == id], room)))
	}
	slices.Sort(names)
	socket["rooms"] = names
	if data, ok := socket["data"].(fields); ok {
		socket["server"] = data["server"]
		delete(data, "server")
	}
	if shake, ok := socket["handshake"].(fields); ok {
		for _, varies := range []string{"time", "issued"} {
			shake[varies] = fmt.Sprintf("%T", shake[varies])
		}
		if headers, ok := shake["headers"].(fields); ok {
			shake["headers"] = slices.Sorted(maps.Keys(headers))
		}
		if auth, ok := shake["auth"].(fields); ok {
			delete(auth, "server")
		}
	}
}

func canonical(v any) string {
	text, _ := json.Marshal(v) // it was JSON before
	return string(text)
}

// comeBack waits until all clients c were disconnected, and connects them again.
func (c *testbed) comeBack(t *testing.T, seen map[string]*observation) {
	t.Helper()
	for _, s := range c.servers {
		name := s.name() + "/c"
		seen[s.name()].Ended = c.drivers.clients.Next(name, "disconnect").Reason
		var id string
		c.drivers.clients.Must("again", fields{"name": name}, &id)
		c.ids[name] = id
	}
	c.awaitRooms(t)
}

// look finds what an operation left on the servers.
func (c *testbed) look(t *testing.T, op operation, call call, from sender, seen map[string]*observation) {
	t.Helper()
	for _, s := range c.servers {
		o := seen[s.name()]
		if s == from || op.events == 0 && !op.members {
			continue
		}
		var last state
		testkit.Until(t, "server-side events at "+s.name(), func() bool {
			last = s.inspect(t)
			for _, e := range last.Events {
				o.Events = append(o.Events, text(t, e))
			}
			o.Dates += last.Dates
			return len(o.Events) >= op.events
		})
		if !op.members {
			continue
		}
		for _, client := range clientsOf {
			for _, room := range last.Rooms[client] {
				for i, own := range call.Join {
					if fmt.Sprint(own) == fmt.Sprint(room) {
						o.Members = append(o.Members, fmt.Sprintf("%s in %d, a %T", client, i, room))
					}
				}
			}
		}
	}
}

func text(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return canonical(v)
}
