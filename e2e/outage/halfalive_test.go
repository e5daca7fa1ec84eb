//go:build e2e

package outage

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// halfAlive are states in which Redis answers, and does not do all that it is asked to.
var halfAlive = []struct {
	name, word  string // word: what Redis says to a write
	begin, mend func(t *testing.T, r *testkit.Redis)
}{
	{"memory full", "OOM command not allowed",
		func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "maxmemory", "1") },
		func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "maxmemory", "0") }},
	{"disk fails", "MISCONF",
		func(t *testing.T, r *testkit.Redis) {
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
				t.Fatal(err)
			}
			r.Do("CONFIG", "SET", "dir", dir)
			r.Do("CONFIG", "SET", "dbfilename", "taken") // is a folder
			r.Do("CONFIG", "SET", "save", "3600 100000")
			r.Do("BGSAVE")
			testkit.Until(t, "the save to fail", func() bool {
				return strings.Contains(r.Do("INFO", "persistence").(string), "rdb_last_bgsave_status:err")
			})
		},
		func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no") }},
	{"replica", "READONLY",
		func(_ *testing.T, r *testkit.Redis) { r.Do("REPLICAOF", "127.0.0.1", "1") },
		func(_ *testing.T, r *testkit.Redis) { r.Do("REPLICAOF", "NO", "ONE") }},
	{"too few replicas", "NOREPLICAS",
		func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "min-replicas-to-write", "1") },
		func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "min-replicas-to-write", "0") }},
	{"writes paused", "",
		func(_ *testing.T, r *testkit.Redis) { r.Do("CLIENT", "PAUSE", "600000", "WRITE") },
		func(_ *testing.T, r *testkit.Redis) { r.Do("CLIENT", "UNPAUSE") }},
	{"everything paused", "",
		func(_ *testing.T, r *testkit.Redis) { r.Do("CLIENT", "PAUSE", "8000", "ALL") }, // nobody can end it before
		func(*testing.T, *testkit.Redis) {}},
	{"a script runs", "BUSY",
		func(t *testing.T, r *testkit.Redis) {
			r.Do("CONFIG", "SET", "busy-reply-threshold", "1")
			inBackground(t, r, "EVAL", "while true do end", "0")
			awaitWord(t, r, "BUSY")
		},
		func(_ *testing.T, r *testkit.Redis) { r.Do("SCRIPT", "KILL") }},
	{"loading", "LOADING",
		func(t *testing.T, r *testkit.Redis) {
			r.Do("EVAL", "for i = 1, 20000 do redis.call('SET', 'filler' .. i, string.rep('x', 100)) end return 1", "0")
			r.Do("CONFIG", "SET", "dbfilename", "whole.rdb")
			r.Do("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
			r.Do("CONFIG", "SET", "key-load-delay", "1000") // microseconds: 20 s for all
			inBackground(t, r, "DEBUG", "RELOAD")
			awaitWord(t, r, "LOADING")
		},
		func(t *testing.T, r *testkit.Redis) {
			r.Do("CONFIG", "SET", "key-load-delay", "0")
			awaitWord(t, r, "")
		}},
}

// inBackground runs a command that Redis answers only once the state that it makes has ended.
func inBackground(t *testing.T, r *testkit.Redis, command ...any) {
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1, ReadTimeout: -1})
	var running sync.WaitGroup
	running.Go(func() { _ = c.Do(t.Context(), command...).Err() }) // its answer may be the error that ended it
	t.Cleanup(func() {
		_ = c.Close() // it only asks
		running.Wait()
	})
}

// awaitWord waits until Redis answers a read with an error that begins with word; with none if word
// is empty.
func awaitWord(t *testing.T, r *testkit.Redis, word string) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	testkit.Until(t, "Redis to say "+strconv.Quote(word), func() bool {
		err := c.Exists(t.Context(), "nothing").Err()
		if word == "" {
			return err == nil
		}
		return err != nil && strings.HasPrefix(err.Error(), word)
	})
}

// TestHalfAliveRedis: servers serve their own clients while Redis takes no writes, and all that
// they said arrives once it does, in order, once. Its own words are in the log, and not for each
// message.
func TestHalfAliveRedis(t *testing.T) {
	inEveryForm(t, func(t *testing.T, form string) {
		redis := testkit.StartRedis(t, "--enable-protected-configs", "yes", "--enable-debug-command", "yes")
		a, b := join(t, form, "a", redis.URL()), join(t, form, "b", redis.URL())
		a.awaitCount(2)
		for i, state := range halfAlive {
			n := i * 10_000
			state.begin(t, redis)
			for range 8 {
				a.burst(n, n+50)
				n += 50
				if got := ask[int](a, "echo", n); got != n {
					t.Fatalf("%s: echo says %d", state.name, got)
				}
			}
			a.expect(i*10_000, n)
			if strings.HasPrefix(form, "redis-streams") && state.word != "" {
				a.Output.Wait(t, 0, "Redis's word", func(line string) bool { return strings.Contains(line, state.word) })
			}
			state.mend(t, redis)
			b.expect(i*10_000, n)
			a.awaitUp(true)
			a.awaitCount(2)
		}
		for _, m := range []*member{a, b} {
			m.Stop(t)
			lines := m.Output.All()
			if len(lines) > 60 {
				t.Errorf("%s logged %d lines", m.Name, len(lines))
			}
			for _, state := range halfAlive {
				if n := strings.Count(strings.Join(lines, "\n"), state.word); state.word != "" && n > 6 {
					t.Errorf("%s logged %s %d times", m.Name, state.word, n)
				}
			}
		}
	})
}
