//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// echoes are clients, every other of which polls, that ask for an echo again and again and note
// what they are told. Their workers are replaced meanwhile.
type echoes struct {
	url   string
	every time.Duration // from one echo of a client to its next

	list []*echo
	stop context.CancelFunc
	over sync.WaitGroup

	requests, answered, cut atomic.Int64 // cut: echoes on their way to a session that had just been closed
	moved                   atomic.Int64 // sessions
	failures                tally
}

// tally counts what must not happen, by what it was.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(format string, a ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[fmt.Sprintf(format, a...)]++
}

// judge fails the test for each.
func (t *tally) judge(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, n := range t.counts {
		tb.Errorf("%d × %s", n, what)
	}
}

// echo is one client.
type echo struct {
	*client.Socket
	crowd    *echoes
	connects atomic.Int64

	mu   sync.Mutex
	told []string // messages of "said"
}

// startEchoes connects n clients, and has them begin.
func startEchoes(t *testing.T, url string, n int, every time.Duration) *echoes {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &echoes{url: url, every: every, stop: cancel, list: make([]*echo, n)}
	t.Cleanup(c.end)
	var joining sync.WaitGroup
	const atOnce = 8
	for k := range atOnce {
		joining.Go(func() {
			for i := k; i < n && !t.Failed(); i += atOnce {
				e, err := c.connect(t, []string{client.Polling, client.WebSocket}[i%2])
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				c.list[i] = e
			}
		})
	}
	joining.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, e := range c.list {
		c.over.Go(func() { e.run(ctx) })
	}
	return c
}

func (c *echoes) connect(t *testing.T, transport string) (*echo, error) {
	connections := &http.Transport{MaxIdleConnsPerHost: 2}
	one, err := client.New(client.Config{
		URL: c.url, Transports: []string{transport}, ReconnectionDelay: 100 * time.Millisecond, ReconnectionDelayMax: time.Second,
		HTTP:    &http.Client{Transport: &counting{c, connections}},
		OnRetry: c.retried,
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		one.Close()
		connections.CloseIdleConnections()
	})
	e := &echo{Socket: one.Of("/"), crowd: c}
	e.On("said", func(number string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.told = append(e.told, number)
	})
	e.OnDisconnect(func(reason string, err error) {
		switch reason {
		case client.ReasonClientDisconnect:
		case client.ReasonTransportClose:
			c.moved.Add(1)
		default:
			c.failures.add("%s session ended by a %s: %v", transport, reason, withoutNumbers(err))
		}
	})
	e.OnConnect(func() { e.connects.Add(1) })
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	return e, e.Connect(ctx)
}

// retried is told of the wait before each reconnection, which is the first of a session that was
// moved.
func (c *echoes) retried(failed int, _ time.Duration, err error) {
	if failed > 1 {
		c.failures.add("no connection: %v", withoutNumbers(err))
	}
}

// withoutNumbers lets like errors be counted as one.
func withoutNumbers(err error) string {
	if err == nil {
		return "no error"
	}
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '#'
		}
		return r
	}, err.Error())
}

// counting sees the requests of a client that polls.
type counting struct {
	crowd *echoes
	next  http.RoundTripper
}

func (h *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	h.crowd.requests.Add(1)
	answer, err := h.next.RoundTrip(r)
	switch {
	case err == nil && answer.StatusCode >= http.StatusBadRequest:
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 100))
		h.crowd.failures.add("%s answered by %s %s", r.Method, answer.Status, text)
		answer.Body = struct {
			io.Reader
			io.Closer
		}{strings.NewReader(string(text)), answer.Body}
	case err != nil && r.Context().Err() == nil: // else the client gave it up
		h.crowd.failures.add("%s not answered: %s", r.Method, withoutNumbers(err))
	}
	return answer, err
}

// run asks until ctx ends.
func (e *echo) run(ctx context.Context) {
	c := e.crowd
	for turn := time.NewTimer(rand.N(c.every)); ; turn.Reset(c.every) {
		select {
		case <-turn.C:
		case <-ctx.Done():
			return
		}
		answer, err := e.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, client.ErrDisconnected):
			c.cut.Add(1)
		case err != nil:
			c.failures.add("echo by %s: %s", e.Client().Transport(), withoutNumbers(err))
		case answer != "hello":
			c.failures.add("echo of %q", answer)
		default:
			c.answered.Add(1)
		}
	}
}

func (e *echo) ask(ctx context.Context) (answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	got, err := e.EmitWithAck(ctx, "echo", "hello")
	if err == nil {
		err = got.Scan(&answer)
	}
	return answer, err
}

// further returns when each client has been answered so many more times on average.
func (c *echoes) further(t *testing.T, times int) {
	t.Helper()
	want := c.answered.Load() + int64(times*len(c.list))
	testkit.UntilFor(t, reloadPatience, "more answers", func() bool { return c.answered.Load() >= want })
}

func (c *echoes) end() {
	c.stop()
	c.over.Wait()
}

func (c *echoes) String() string {
	return fmt.Sprintf("%d clients, %d polling requests, %d echoes answered, %d sessions moved, %d echoes cut off by a move",
		len(c.list), c.requests.Load(), c.answered.Load(), c.moved.Load(), c.cut.Load())
}

// judge waits until each client has come back elsewhere, and fails the test for what ordinary
// clients see as an error.
func (c *echoes) judge(t *testing.T) {
	t.Helper()
	testkit.UntilFor(t, reloadPatience, "each client to come back", func() bool {
		return !slices.ContainsFunc(c.list, func(e *echo) bool { return e.connects.Load() < 2 })
	})
	c.failures.judge(t)
}

// allTold wants each client to have been told all numbers up to the last, once and in order.
func (c *echoes) allTold(t *testing.T, said int) {
	t.Helper()
	for i, e := range c.list {
		testkit.Until(t, fmt.Sprintf("the last word for client %d", i), func() bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return len(e.told) >= said
		})
		e.mu.Lock()
		for k, number := range e.told {
			if number != fmt.Sprint(k) {
				t.Errorf("client %d was told %s as number %d of %d", i, number, k, len(e.told))
				break
			}
		}
		e.mu.Unlock()
	}
}
