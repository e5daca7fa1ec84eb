package link

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/alicebob/miniredis/v2"
	wire "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
)

// slowRedis takes the place of Redis: it notes what is published, and takes each message only when
// it is let.
type slowRedis struct {
	said chan string
	let  chan struct{}
}

func (s *slowRedis) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
}

func (s *slowRedis) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return net.ErrClosed }
}

func (s *slowRedis) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "publish" {
			return net.ErrClosed
		}
		var b beat
		if err := json.Unmarshal(cmd.Args()[2].([]byte), &b); err != nil {
			return err
		}
		s.said <- map[bool]string{false: "beat", true: "goodbye"}[b.Gone]
		select {
		case <-s.let:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestNoBeatComesAfterGoodbye: not even one that Redis has not taken when the process ends. Each
// says what it says over a connection of its own, and a beat that came later would bring the
// process back to life for its peers.
func TestNoBeatComesAfterGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := listening(t)
		slow := &slowRedis{said: make(chan string, 10), let: make(chan struct{})}
		r.Conn.Client().AddHook(slow)
		said := func(want ...string) {
			t.Helper()
			synctest.Wait() // whoever can say something has
			var got []string
			for len(slow.said) > 0 {
				got = append(got, <-slow.said)
			}
			if !slices.Equal(got, want) {
				t.Errorf("said %q, want %q", got, want)
			}
		}
		go r.peers.run(t.Context())
		r.peers.beatSoon()
		said("beat")
		go r.peers.goodbye(t.Context())
		said()
		slow.let <- struct{}{}
		said("goodbye")
		slow.let <- struct{}{}
		r.peers.beatSoon()
		said()
	})
}

// TestGoodbye is said when a process ends.
func TestGoodbye(t *testing.T) {
	m := miniredis.RunT(t)
	s, _ := start(t, linktest.URL(m), Config{}, linktest.NewLocal("/"))
	gone := make(chan struct{})
	m.Server().SetPreHook(func(_ *wire.Peer, command string, args ...string) bool {
		var b beat
		if command == "PUBLISH" && args[0] == s.peers.channel && json.Unmarshal([]byte(args[1]), &b) == nil && b.Gone {
			close(gone)
		}
		return false
	})
	s.end()
	select {
	case <-gone:
	default:
		t.Error("no goodbye")
	}
}
