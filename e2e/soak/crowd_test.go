//go:build soak && linux

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

const (
	perRoom = 10 // clients, on average
	deeds   = 10 // of a life, on average
	pause   = 2 * time.Second

	// answerTime is long: it tells an answer that never comes from one that waits for a busy
	// machine.
	answerTime = 30 * time.Second
)

// crowd is a number of clients, each of which lives one life after the other.
type crowd struct {
	url     string
	clients int

	lives, answers, heard, moved atomic.Int64
	failed                       atomic.Int64
	failures                     sync.Map // text: bool; which there were
}

func (c *crowd) String() string {
	return fmt.Sprintf("%d lives, %d answers, %d messages heard, %d upgrades, %d failures",
		c.lives.Load(), c.answers.Load(), c.heard.Load(), c.moved.Load(), c.failed.Load())
}

// run keeps the crowd there until ctx ends, and returns when all have left. They come spread over
// ramp.
func (c *crowd) run(ctx context.Context, ramp time.Duration) {
	var wg sync.WaitGroup
	for range c.clients {
		wg.Go(func() {
			wait(ctx, rand.N(ramp+1))
			for ctx.Err() == nil {
				if err := c.live(ctx); err != nil && ctx.Err() == nil {
					c.failed.Add(1)
					c.failures.Store(err.Error(), true)
				}
			}
		})
	}
	wg.Wait()
}

// judge fails the test for what went wrong in the clients' lives.
func (c *crowd) judge(t *testing.T) {
	t.Helper()
	if n := c.failed.Load(); n > 0 {
		t.Errorf("%d of %d lives failed", n, c.lives.Load())
		c.failures.Range(func(text, _ any) bool {
			t.Log(text)
			return true
		})
	}
	if c.answers.Load() == 0 || c.heard.Load() == 0 {
		t.Error("nobody was answered, or heard another")
	}
}

// live is one life: connect, join a room, do this and that, leave in one way or another.
func (c *crowd) live(ctx context.Context) error {
	var line cord
	cfg := client.Config{URL: c.url, NoReconnection: true, Timeout: answerTime, Dial: line.dial,
		OnTransport: func(string) { c.moved.Add(1) }}
	switch rand.IntN(5) {
	case 0:
		cfg.Transports = []string{client.Polling}
	case 1, 2:
		cfg.Transports = []string{client.WebSocket}
	}
	io, err := client.New(cfg)
	if err != nil {
		return err
	}
	defer io.Close()
	s := io.Of("/")
	gone := make(chan struct{})
	var lost error // once gone
	s.OnDisconnect(func(reason string, err error) {
		lost = fmt.Errorf("%s: %w", reason, err)
		close(gone)
	})
	s.On("said", func(client.Args) { c.heard.Add(1) })
	if err := s.Connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	c.lives.Add(1)
	room := fmt.Sprint("room-", rand.IntN(max(c.clients/perRoom, 1)))
	if err := c.ask(ctx, s, "join", room); err != nil {
		return err
	}
	begin := time.Now()
	for range rand.IntN(2 * deeds) {
		if !wait(ctx, rand.N(2*pause)) {
			break
		}
		if err := c.act(ctx, s, room); err != nil {
			select {
			case <-gone:
				err = fmt.Errorf("%w: %w", err, lost)
			default:
			}
			return fmt.Errorf("%s by %s of %q after %v: %w", io.SID(), io.Transport(), cfg.Transports, time.Since(begin), err)
		}
	}
	switch rand.IntN(10) {
	default:
		s.Disconnect()
	case 0, 1, 2:
		line.cut()
	case 3: // says and hears nothing any more, until server and client have had enough of each other
		line.freeze()
		select {
		case <-gone:
		case <-ctx.Done():
		}
		line.cut()
	}
	return nil
}

// act does one of the things that clients do.
func (c *crowd) act(ctx context.Context, s *client.Socket, room string) error {
	switch rand.IntN(10) {
	case 0:
		return c.ask(ctx, s, "say", map[string]any{"room": room, "msg": "hello"})
	case 1:
		return c.ask(ctx, s, "echo", make([]byte, rand.IntN(4096)))
	case 2:
		return c.ask(ctx, s, "leave", room)
	case 3:
		return c.ask(ctx, s, "join", room)
	case 4:
		return s.Emit("echo", "without an answer")
	}
	return c.ask(ctx, s, "echo", "text", 42, []string{"a", "b"})
}

func (c *crowd) ask(ctx context.Context, s *client.Socket, event string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := s.EmitWithAck(ctx, event, args...); err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	c.answers.Add(1)
	return nil
}

// wait reports whether d has passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
