//go:build e2e

package outage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// freeze stops the server's process, and returns once none of its threads runs any more.
func (m *member) freeze() {
	m.t.Helper()
	m.Signal(m.t, syscall.SIGSTOP)
	testkit.Until(m.t, m.Name+" to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.PID()))
		return err != nil || strings.Contains(string(stat), ") T ") // systems without /proc are believed to be quick
	})
}

func (m *member) thaw() { m.t.Helper(); m.Signal(m.t, syscall.SIGCONT) }

// TestDeadServersAreNotWaitedFor: who asks the cluster gets the answers of those that live, and no
// error, although requests may take an hour here. A frozen server keeps its subscription, so that
// only its silence tells.
func TestDeadServersAreNotWaitedFor(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		store := testkit.StartRedis(t)
		beats := listenToBeats(t, store)
		a, b, c := join(t, form, "a", store.URL()), join(t, form, "b", store.URL()), join(t, form, "c", store.URL())
		awaitBeats(t, beats, 3) // they know each other by name
		a.awaitCount(3)

		b.freeze()
		a.awaitCount(2) // at the first try: it would not return
		c.Kill(t)
		a.awaitCount(1)
		b.thaw()
		a.awaitCount(2)
	})
}

// listenToBeats hears the heartbeats of servers.
func listenToBeats(t *testing.T, store *testkit.Redis) *redis.PubSub {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	sub := client.Subscribe(context.Background(), "sidereal-peers:socket.io")
	t.Cleanup(func() {
		sub.Close()
		client.Close()
	})
	if _, err := sub.Receive(patience(t)); err != nil {
		t.Fatal(err)
	}
	return sub
}

// awaitBeats returns after three beats of each of n servers: by then each has heard the others.
func awaitBeats(t *testing.T, sub *redis.PubSub, n int) {
	t.Helper()
	beats := map[string]int{}
	for {
		m, err := sub.ReceiveMessage(patience(t))
		if err != nil {
			t.Fatal(err)
		}
		var beat struct{ Process string }
		if err := json.Unmarshal([]byte(m.Payload), &beat); err != nil {
			t.Fatal(err)
		}
		beats[beat.Process]++
		enough := 0
		for _, count := range beats {
			if count >= 3 {
				enough++
			}
		}
		if enough == n {
			return
		}
	}
}
