package cluster

import (
	"fmt"
	"testing"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/testkit"
	socketio "github.com/sidereal-io/sidereal/socketio/cluster"
)

// members is the size of the small form.
const members = 20

// TestMessagesCostOneCommand: a broadcast is one command for Redis, and a question one for each
// server, however many servers there are. The numbers are exact, because beats, which come in their
// own time, are other commands.
func TestMessagesCostOneCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		form            adapter.Form
		tells, answers  string // the commands of broadcasts and answers
		answersAreExact bool
	}{
		{"sharded", adapter.Sharded{}, "spublish", "spublish", true},
		{"streams", adapter.Streams{UseShardedPubSub: true}, "xadd", "spublish", true},
		{"classic", adapter.Classic{}, "publish", "publish", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := single(t)
			all := startServers(t, s, c.form, members)
			defer stopServers(all)
			for _, one := range all {
				one.counts(t, members)
			}
			const times = 10
			before := s.read(t)
			for i := range times {
				found := 0
				err := all[i].space.Ask(t.Context(), socketio.Question{Kind: socketio.AskSockets}, func(a socketio.Answer) { found += len(a.Sockets) })
				if err != nil || found != members-1 {
					t.Fatalf("%d sockets, %v", found, err)
				}
			}
			asked := s.read(t).since(before)
			if got := asked.calls[c.answers]; c.answersAreExact && got != times*members || got < times*members {
				t.Errorf("%d questions to %d servers: %v", times, members, asked.calls)
			}
			before = s.read(t)
			for i := range times {
				if err := all[i].space.Broadcast(&socketio.Broadcast{Data: said}); err != nil {
					t.Fatal(err)
				}
			}
			for i, one := range all {
				want := int64(times)
				if i < times {
					want-- // without its own
				}
				testkit.Until(t, "the messages to arrive", func() bool { return one.crowd.delivered.Load() == want })
			}
			told := s.read(t).since(before)
			if got := told.calls[c.tells]; c.answersAreExact && got != times || got < times {
				t.Errorf("%d messages: %v", times, told.calls)
			}
		})
	}
}

// TestRoomsReachTheirServers: in the sharded form only the servers with somebody in a room hear its
// messages.
func TestRoomsReachTheirServers(t *testing.T) {
	t.Parallel()
	s := single(t)
	all := startServers(t, s, adapter.Sharded{}, members)
	defer stopServers(all)
	for i, one := range all {
		one.crowd.join(fmt.Sprintf("room-%d", i/2))
	}
	for _, one := range all {
		testkit.Until(t, "the rooms to be heard", one.a.Settled)
	}
	for i, one := range all {
		if err := one.space.Broadcast(&socketio.Broadcast{Target: socketio.Target{Rooms: []string{fmt.Sprintf("room-%d", i/2)}}, Data: said}); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range all {
		testkit.Until(t, "the message of the other in the room", func() bool { return one.crowd.delivered.Load() == 1 })
	}
	for _, one := range all {
		one.crowd.leave()
	}
}

// TestHostsFindAllWorkers: routers know each other's workers, and read what a new one changes.
func TestHostsFindAllWorkers(t *testing.T) {
	t.Parallel()
	s := single(t)
	all := startHosts(t, s, members, 1)
	defer stopHosts(all)
	before := s.read(t)
	all[0].workers = append(all[0].workers, all[0].startWorker(t, 1))
	known(t, all, members+1)
	if d := s.read(t).since(before); d.calls["publish"] == 0 {
		t.Errorf("a new worker: %v", d.calls)
	}
}
