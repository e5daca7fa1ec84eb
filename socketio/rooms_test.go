package socketio

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// model is what rooms should do, in the plainest way: Node's sets keep the order of insertion.
type model struct {
	connected []*Socket
	rooms     map[string][]*Socket
	of        map[*Socket][]string
}

func (m *model) matching(t cluster.Target) (out []*Socket) {
	in := func(names []string, s *Socket) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(m.rooms[n], s) })
	}
	add := func(list []*Socket) {
		for _, s := range list {
			if slices.Contains(m.connected, s) && !in(t.Except, s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	if len(t.Rooms) == 0 {
		add(m.connected)
	}
	for _, name := range t.Rooms {
		add(m.rooms[name])
	}
	return out
}

func TestRoomsMatchTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRooms(1000)
		m := &model{rooms: map[string][]*Socket{}, of: map[*Socket][]string{}}
		var sockets []*Socket
		name := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		names := rapid.SliceOfN(name, 0, 7)
		pick := func(t *rapid.T) *Socket {
			if len(sockets) == 0 {
				t.Skip("no sockets")
			}
			return rapid.SampledFrom(sockets).Draw(t, "socket")
		}
		t.Repeat(map[string]func(*rapid.T){
			"connect": func(t *rapid.T) {
				s := &Socket{id: fmt.Sprint("id", len(m.of)), in: memberships{at: -1}}
				r.join(s, []string{s.id})
				r.enter(s)
				sockets = append(sockets, s)
				m.connected = append(m.connected, s)
				m.rooms[s.id] = []*Socket{s}
				m.of[s] = []string{s.id}
			},
			"join": func(t *rapid.T) {
				s, list := pick(t), names.Draw(t, "rooms")
				r.join(s, list)
				for _, n := range list {
					if !slices.Contains(m.rooms[n], s) {
						m.rooms[n] = append(m.rooms[n], s)
						m.of[s] = append(m.of[s], n)
					}
				}
			},
			"leave": func(t *rapid.T) {
				s, list := pick(t), names.Draw(t, "rooms")
				r.leave(s, list)
				for _, n := range list {
					m.rooms[n] = slices.DeleteFunc(m.rooms[n], func(o *Socket) bool { return o == s })
					m.of[s] = slices.DeleteFunc(m.of[s], func(o string) bool { return o == n })
				}
			},
			"disconnect": func(t *rapid.T) {
				s := pick(t)
				if was, _ := r.leaveAll(s); !slices.Equal(was, m.of[s]) {
					t.Fatalf("was in %q, want %q", was, m.of[s])
				}
				gone := func(o *Socket) bool { return o == s }
				sockets = slices.DeleteFunc(sockets, gone)
				m.connected = slices.DeleteFunc(m.connected, gone)
				for n, list := range m.rooms {
					m.rooms[n] = slices.DeleteFunc(list, gone)
				}
				r.join(s, []string{"a"}) // a socket that left joins nothing
			},
			"": func(t *rapid.T) {
				target := cluster.Target{Rooms: names.Draw(t, "to"), Except: names.Draw(t, "except")}
				if len(sockets) > 0 && rapid.Bool().Draw(t, "by id") {
					target.Except = append(target.Except, pick(t).id)
					target.Rooms = append(target.Rooms, pick(t).id)
				}
				if got, want := r.matching(nil, &target), m.matching(target); !slices.Equal(got, want) {
					t.Fatalf("to %q except %q: %d sockets, want %d, or another order", target.Rooms, target.Except, len(got), len(want))
				}
				for _, s := range sockets {
					if got := r.of(s); !slices.Equal(got, m.of[s]) {
						t.Fatalf("%s is in %q, want %q", s.id, got, m.of[s])
					}
				}
				for _, n := range []string{"a", "g"} {
					if r.has([]byte(n)) != (len(m.rooms[n]) > 0) {
						t.Fatalf("has(%q)", n)
					}
				}
			},
		})
		for _, s := range sockets {
			r.leaveAll(s)
		}
		if len(r.named) != 0 || len(r.byID) != 0 || r.all.live() != 0 {
			t.Fatalf("%d rooms, %d ids and %d sockets are left behind", len(r.named), len(r.byID), r.all.live())
		}
	})
}

func TestHasRoomDoesNotAllocate(t *testing.T) {
	r := newRooms(1000)
	r.join(&Socket{id: "id", in: memberships{at: -1}}, []string{"room"})
	name := []byte("room")
	if n := testing.AllocsPerRun(100, func() { r.has(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFanOutIsSelectedWithoutAllocating(t *testing.T) {
	r := newRooms(1000)
	for i := range 100 {
		s := &Socket{id: fmt.Sprint(i), in: memberships{at: -1}}
		r.join(s, []string{s.id, "a", "b"})
		r.enter(s)
	}
	dst := make([]*Socket, 0, 100)
	target := &cluster.Target{Rooms: []string{"a", "b"}, Except: []string{"7", "8"}}
	if n := testing.AllocsPerRun(100, func() { dst = r.matching(dst[:0], target) }); n != 0 || len(dst) != 98 {
		t.Errorf("%v allocations, %d sockets", n, len(dst))
	}
}

func BenchmarkRoomsMatching(b *testing.B) {
	r := newRooms(1000)
	var except string
	for i := range 1000 {
		s := &Socket{id: fmt.Sprint(i), in: memberships{at: -1}}
		r.join(s, []string{s.id, "all", fmt.Sprint("room", rand.IntN(100))})
		r.enter(s)
		except = s.id
	}
	dst := make([]*Socket, 0, 2000)
	for _, c := range []struct {
		name string
		t    cluster.Target
	}{
		{"namespace", cluster.Target{}},
		{"room", cluster.Target{Rooms: []string{"all"}}},
		{"room except one", cluster.Target{Rooms: []string{"all"}, Except: []string{except}}},
		{"two rooms", cluster.Target{Rooms: []string{"room1", "all"}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.matching(dst[:0], &c.t)
			}
		})
	}
}

// One that leaves many rooms, each with many members, lets others have the lock every now and then;
// nobody sees it meanwhile, and those who stay are found in their order.
func TestLeavingManyRoomsLetsOthersIn(t *testing.T) {
	const members, many = 64, 1000
	r := newRooms(many)
	names := make([]string, many)
	for i := range names {
		names[i] = fmt.Sprint("room", i)
	}
	var all []*Socket
	for i := range members {
		s := &Socket{id: fmt.Sprint(i), in: memberships{at: -1}}
		r.join(s, append([]string{s.id}, names...))
		r.enter(s)
		all = append(all, s)
	}
	steps, seen := 0, 0
	for i, s := range all[:members/2] {
		r.between = func() {
			steps++
			for _, other := range r.matching(nil, &cluster.Target{Rooms: names[many-1:]}) {
				if other == s {
					seen++
				}
			}
			r.leave(s, names) // by the app, at the same time
			r.join(all[members-1], []string{fmt.Sprint("new", i)})
			r.leave(all[members-1], []string{fmt.Sprint("new", i)})
		}
		was, _ := r.leaveAll(s)
		if len(was) != many+1 {
			t.Fatalf("it was in %d rooms", len(was))
		}
	}
	if want := members * many / 2 / mostWork; steps < want || seen > 0 {
		t.Errorf("%d steps, want %d at least; seen %d times", steps, want, seen)
	}
	for _, name := range names {
		if got := r.matching(nil, &cluster.Target{Rooms: []string{name}}); !slices.Equal(got, all[members/2:]) {
			t.Fatalf("%s has %d members", name, len(got))
		}
	}
	for _, s := range all[members/2:] {
		if rooms := r.of(s); len(rooms) != many+1 || !slices.Equal(rooms[1:], names) {
			t.Fatalf("%s is in %d rooms", s.id, len(rooms))
		}
		r.leave(s, names[:many-1])
		if rooms := r.of(s); !slices.Equal(rooms, []string{s.id, names[many-1]}) {
			t.Fatalf("%s is in %v", s.id, rooms)
		}
	}
}
