//go:build soak

package link

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestManyServers has 300 servers on one Redis, and three that never answer: one says goodbye, one
// is killed, one freezes. It logs how long a request of all of them takes in each case.
func TestManyServers(t *testing.T) {
	const servers = 300
	store := testkit.StartRedis(t)
	all := make([]*server, servers)
	adapters := make([]cluster.Adapter, servers)
	for i := range all {
		s, opened := start(t, store.URL(), Config{RequestsTimeout: time.Hour}, linktest.NewLocal("/"))
		all[i], adapters[i] = s, opened[0]
	}
	linktest.Meet(t, all...)
	asker, n := adapters[0], all[0].namespaces.all()[0]
	fetch := func(what string) {
		t.Helper()
		begun := time.Now()
		if _, err := linktest.Fetch(t.Context(), asker, cluster.Target{}); err != nil {
			t.Error(err)
		}
		t.Logf("%s: %v", what, time.Since(begun).Round(time.Millisecond))
	}
	fetch("all answer")
	t.Logf("each beats every %v", all[0].peers.every())

	mute := func(process string) (say func(beat), kill func()) {
		t.Helper()
		c := redis.NewClient(&redis.Options{Addr: store.Addr()})
		t.Cleanup(func() { _ = c.Close() })
		sub := c.Subscribe(t.Context(), all[0].peers.channel, n.protocol.RequestChannel(), n.protocol.AnswerChannel(process))
		t.Cleanup(func() { _ = sub.Close() })
		for range 3 {
			if _, err := sub.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		say = func(b beat) {
			b.V, b.Process, b.Every = beatVersion, process, all[0].peers.every().Milliseconds()
			text, err := json.Marshal(b)
			if err == nil {
				err = c.Publish(t.Context(), all[0].peers.channel, text).Err()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		say(beat{Namespaces: map[string]string{"/": process}})
		testkit.Until(t, "the newcomer to be known", func() bool { return all[0].peers.has(process) })
		return say, func() { _ = sub.Close() }
	}
	meanwhile := func(what string, happens func()) {
		t.Helper()
		done := make(chan struct{})
		go func() {
			defer close(done)
			fetch("asked before " + what)
		}()
		testkit.Until(t, "one answer to be missing", func() bool {
			for _, c := range n.asks.open.all() {
				if len(c.owing()) == 1 {
					return true
				}
			}
			return false
		})
		happens()
		<-done
		fetch("asked after " + what)
	}
	say, kill := mute("leaving")
	meanwhile("a goodbye", func() { say(beat{Gone: true}); kill() })
	_, kill = mute("killed")
	meanwhile("a kill", kill)
	mute("frozen")
	meanwhile("one froze", func() {})
	testkit.Until(t, "the frozen server to be forgotten", func() bool { return !all[servers-1].peers.has("frozen") }) // who did not ask knows, too
}
