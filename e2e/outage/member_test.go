//go:build e2e

package outage

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// member is a server process with one client.
type member struct {
	*harness.Process
	t       *testing.T
	url     string
	client  *client.Client
	io      *client.Socket
	flooded atomic.Bool // the client was told something of a flood

	heardAnything atomic.Bool // else

	mu   sync.Mutex // guards said
	said []int      // what the client was told
	more chan struct{}
}

// inEveryForm runs a test for each form of the adapter.
func inEveryForm(t *testing.T, test func(t *testing.T, form string)) {
	t.Helper()
	t.Parallel()
	for form := range forms {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			test(t, form)
		})
	}
}

// join starts a server on the Redis at url and returns once it hears the others and its client is
// connected.
func join(t *testing.T, form, name, url string, env ...string) *member {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := &member{t: t, more: make(chan struct{}, 1)}
	m.Process = harness.Start(t, name, "", append([]string{formEnv + "=" + form, redisEnv + "=" + url}, env...), self)
	line, _ := m.Output.Wait(t, 0, "the server", func(line string) bool { return strings.HasPrefix(line, "serving ") })
	m.url = strings.TrimPrefix(line, "serving ")
	if m.client, err = client.New(client.Config{URL: m.url, Transports: []string{client.WebSocket}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.client.Close() })
	m.io = m.client.Of("/")
	m.io.On("said", m.hear)
	m.io.On("flood", func(string) { m.flooded.Store(true) })
	m.io.OnAny(func(event string, _ client.Args) {
		if event != "said" && event != "flood" {
			m.heardAnything.Store(true)
		}
	})
	if err := m.io.Connect(patience(t)); err != nil {
		t.Fatal(err)
	}
	m.awaitUp(true)
	return m
}

// patience bounds a wait that is expected to end soon.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	t.Cleanup(cancel)
	return ctx
}

func (m *member) hear(n int) {
	m.mu.Lock()
	m.said = append(m.said, n)
	m.mu.Unlock()
	select {
	case m.more <- struct{}{}:
	default:
	}
}

// ask emits an event of the program's and decodes its answer.
func ask[T any](m *member, event string, args ...any) (answer T) {
	m.t.Helper()
	got, err := m.io.EmitWithAck(patience(m.t), event, args...)
	if err == nil {
		err = got.Decode(0, &answer)
	}
	if err != nil {
		m.t.Fatalf("%s: %s: %v", m.Name, event, err)
	}
	return answer
}

// burst has the server tell everybody the numbers from, ..., to-1.
func (m *member) burst(from, to int) {
	m.t.Helper()
	ask[bool](m, "burst", from, to)
}

// heardOf returns the numbers from on up to to, which it waits for, in the order in which the
// client was told them.
func (m *member) heardOf(from, to int) (heard []int) {
	m.t.Helper()
	end := time.NewTimer(harness.Patience)
	defer end.Stop()
	for {
		m.mu.Lock()
		heard = nil
		last := false
		for _, n := range m.said {
			if n >= from && n <= to {
				heard = append(heard, n)
			}
			last = last || n == to
		}
		m.mu.Unlock()
		if last {
			return heard
		}
		select {
		case <-m.more:
		case <-end.C:
			m.t.Fatalf("the client of %s was not told %d within %v, but %v", m.Name, to, harness.Patience, heard)
		}
	}
}

// expect waits until the client was told all numbers from, ..., to-1, and wants them in order,
// once.
func (m *member) expect(from, to int) {
	m.t.Helper()
	heard := m.heardOf(from, to-1)
	for i, n := range heard {
		if n != from+i {
			m.t.Fatalf("the client of %s was told %v, want %d to %d", m.Name, heard, from, to-1)
		}
	}
}

// checkOrder wants the numbers that the client was told to grow, with gaps, but for what it was
// told before: what was under way when a connection broke may come twice.
func (m *member) checkOrder() {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	last, told := -1, map[int]bool{}
	for _, n := range m.said {
		if n < last && !told[n] {
			m.t.Fatalf("the client of %s was told %d after %d", m.Name, n, last)
		}
		told[n] = true
		last = max(last, n)
	}
}

// awaitUp waits until the server has found that it hears the others, or that it does not.
func (m *member) awaitUp(up bool) {
	m.t.Helper()
	testkit.Until(m.t, fmt.Sprintf("%s to find Redis up: %t", m.Name, up), func() bool { return ask[bool](m, "up") == up })
}

// awaitCount waits until the server finds that many sockets in the cluster.
func (m *member) awaitCount(n int) {
	m.t.Helper()
	var last found
	testkit.Until(m.t, fmt.Sprintf("%s to count %d", m.Name, n), func() bool {
		last = ask[found](m, "count")
		return last == found{Sockets: n}
	})
}
