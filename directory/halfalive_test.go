package directory

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// door is one router's directory: running, registered and in sync. Its log is returned.
func door(t testing.TB, url, id string) (*Directory, *testkit.Output) {
	t.Helper()
	said := new(testkit.Output)
	log := slog.New(loghandler.New(said, slog.LevelDebug))
	conn, err := redisconn.Open(redisconn.Config{URL: url, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	testkit.Run(t, conn.Run)
	testkit.Await(t, "Redis", conn.Changed, conn.Up)
	d, err := Open(t.Context(), Config{Conn: conn, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	inSync(t, d)
	reg, err := d.RegisterRouter(t.Context(), Router{ID: id, State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, reg.Run)
	testkit.Await(t, "the router "+id, d.Changed, func() bool {
		for _, r := range d.Workers().Routers() {
			if r.ID == id {
				return true
			}
		}
		return false
	})
	return d, said
}

// watchFor reports every table of d, until the test ends, that doesn't have the worker as ready.
func watchFor(t *testing.T, d *Directory, id string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			changed := d.Changed()
			if w := d.Workers().Get(id); w == nil {
				t.Errorf("worker %s, which lives, is not known", id)
				return
			} else if w.State != StateReady {
				t.Errorf("worker %s, which lives, is %s", id, w.State)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); watching.Wait() }
}

// moreLooks waits until each has looked n times more.
func moreLooks(t *testing.T, n uint64, all ...*Directory) {
	t.Helper()
	want := make([]uint64, len(all))
	for i, d := range all {
		want[i] = d.follower.looks.Load() + n
	}
	for i, d := range all {
		testkit.Until(t, fmt.Sprint(n, " looks"), func() bool { return d.follower.looks.Load() >= want[i] })
	}
}

func exists(r *testkit.Redis, key string) bool { return r.Do("EXISTS", key).(int64) == 1 }

// TestHalfAliveRedisHarmsNobody has Redis fail in ways in which it goes on to answer, for longer
// than records live. Nobody who lives may be taken for lost, and when it is over a worker that dies
// is.
func TestHalfAliveRedisHarmsNobody(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup // they wait for records to expire, mostly
	defer all.Wait()
	for _, c := range []struct {
		name  string
		fail  func(t *testing.T, r *testkit.Redis)
		heal  func(r *testkit.Redis)
		lasts bool   // the records are gone for as long as it lasts
		says  string // Redis's own words, which the routers log
	}{{
		name: "maxmemory with noeviction", lasts: true, says: "OOM",
		fail: func(_ *testing.T, r *testkit.Redis) { r.Do("CONFIG", "SET", "maxmemory", "1") },
		heal: func(r *testkit.Redis) { r.Do("CONFIG", "SET", "maxmemory", "0") },
	}, {
		name: "a replica, read only", lasts: true, says: "READONLY",
		fail: func(t *testing.T, r *testkit.Redis) {
			r.Do("REPLICAOF", "127.0.0.1", testkit.FreePort(t))
		},
		heal: func(r *testkit.Redis) { r.Do("REPLICAOF", "NO", "ONE") },
	}, {
		name: "snapshots fail", lasts: true, says: "MISCONF",
		fail: func(t *testing.T, r *testkit.Redis) {
			dir := fmt.Sprint(r.Do("CONFIG", "GET", "dir").([]any)[1])
			if err := os.Mkdir(filepath.Join(dir, "dump.rdb"), 0o700); err != nil {
				t.Fatal(err)
			}
			r.Do("CONFIG", "SET", "save", "3600 1000000")
			r.Do("BGSAVE")
			testkit.Until(t, "the snapshot to fail", func() bool {
				return strings.Contains(fmt.Sprint(r.Do("INFO", "persistence")), "rdb_last_bgsave_status:err")
			})
		},
		heal: func(r *testkit.Redis) { r.Do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no") },
	}, {
		name: "writes are paused", lasts: true, says: "timeout",
		fail: func(_ *testing.T, r *testkit.Redis) { r.Do("CLIENT", "PAUSE", 600_000, "WRITE") },
		heal: func(r *testkit.Redis) { r.Do("CLIENT", "UNPAUSE") },
	}, {
		name: "everything is flushed",
		fail: func(_ *testing.T, r *testkit.Redis) { r.Do("FLUSHALL") },
		heal: func(*testkit.Redis) {},
	}, {
		name: "keys are evicted one by one",
		fail: func(t *testing.T, r *testkit.Redis) {
			ctx, cancel := context.WithCancel(context.Background())
			var evicting sync.WaitGroup
			client := redis.NewClient(&redis.Options{Addr: r.Addr()})
			evicting.Go(func() {
				defer client.Close()
				for ctx.Err() == nil { // so often that of ten keys each is gone most of the time
					time.Sleep(time.Millisecond) // the pace of the attack; nothing awaits its end
					if key, err := client.RandomKey(ctx).Result(); err == nil {
						client.Del(ctx, key)
					}
				}
			})
			t.Cleanup(func() { cancel(); evicting.Wait() })
		},
		heal: func(*testkit.Redis) {},
	}} {
		test := func(t *testing.T) {
			r := testkit.StartRedis(t)
			a, said := door(t, r.URL(), "router-a")
			b, _ := door(t, r.URL(), "router-b")
			other := node(t, r.URL()) // a supervisor's: it looks, and has no record of its own
			workers := node(t, r.URL())
			reg, _ := join(t, workers, Worker{Tags: true}, a, b, other)
			watched := []*Directory{a, b, other}
			for _, d := range watched {
				defer watchFor(t, d, reg.ID())()
			}
			c.fail(t, r)
			if c.lasts {
				testkit.Until(t, "the records to expire", func() bool {
					return !exists(r, a.keys.worker(reg.ID())) && !exists(r, a.keys.router("router-a")) && !exists(r, a.keys.router("router-b"))
				})
			}
			moreLooks(t, 4, watched...)
			if c.says != "" && !strings.Contains(said.String(), c.says) {
				t.Errorf("the router doesn't say %q:\n%s", c.says, said)
			}
			if n := said.Count(`"level":"warn"`); n > 8 {
				t.Errorf("%d warnings:\n%s", n, said)
			}
			c.heal(r)
			moreLooks(t, 2, watched...)
			if c.lasts {
				testkit.Until(t, "the records to be back", func() bool { return exists(r, a.keys.worker(reg.ID())) })
				testkit.Until(t, "word that all is well", func() bool { return strings.Contains(said.String(), "accepts heartbeats again") })
			}
		}
		all.Go(func() { t.Run(c.name, test) })
	}
}

// staleReads has a client read from another Redis than it writes to, as behind a proxy that splits
// the two.
type staleReads struct{ from redis.UniversalClient }

func (s staleReads) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s staleReads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !reads(cmd) {
			return next(ctx, cmd)
		}
		return s.from.Process(ctx, cmd)
	}
}

func (s staleReads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if !reads(cmd) {
				return next(ctx, cmds)
			}
		}
		pipe := s.from.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd)
		}
		_, err := pipe.Exec(ctx)
		return err
	}
}

func reads(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "get", "smembers", "pttl":
		return true
	}
	return false
}

// TestStaleReplicaHarmsNobody reads from a replica that its master has left behind: its records
// expire, whoever lives.
func TestStaleReplicaHarmsNobody(t *testing.T) {
	t.Parallel()
	master, replica := testkit.StartRedis(t), testkit.StartRedis(t)
	_, port, _ := net.SplitHostPort(master.Addr())
	replica.Do("REPLICAOF", "127.0.0.1", port)
	testkit.Until(t, "the replica", func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")), "master_link_status:up")
	})
	a, _ := door(t, master.URL(), "router-a")
	from := redis.NewClient(&redis.Options{Addr: replica.Addr()})
	defer from.Close()
	a.client.AddHook(staleReads{from})
	reg, _ := join(t, node(t, master.URL()), Worker{}, a)
	defer watchFor(t, a, reg.ID())()
	replica.Do("REPLICAOF", "127.0.0.1", testkit.FreePort(t))
	testkit.Until(t, "the copies to expire", func() bool {
		return !exists(replica, a.keys.worker(reg.ID())) && !exists(replica, a.keys.router("router-a"))
	})
	moreLooks(t, 4, a)
	if !exists(master, a.keys.worker(reg.ID())) {
		t.Error("the worker has stopped to beat")
	}
}

// TestDeathsAreSeenAfterHalfAliveRedis: not to see is not for ever.
func TestDeathsAreSeenAfterHalfAliveRedis(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	a, _ := door(t, r.URL(), "router-a")
	workers := node(t, r.URL())
	lives, _ := join(t, workers, Worker{}, a)
	dies, err := workers.RegisterWorker(t.Context(), Worker{State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dies.beat(t.Context(), told{}); err != nil { // once, and never again
		t.Fatal(err)
	}
	awaitState(t, a, dies.ID(), StateReady)
	r.Do("CONFIG", "SET", "maxmemory", "1")
	testkit.Until(t, "the records to expire", func() bool {
		return !exists(r, a.keys.worker(lives.ID())) && !exists(r, a.keys.worker(dies.ID())) && !exists(r, a.keys.router("router-a"))
	})
	moreLooks(t, 2, a)
	if w := a.Workers().Get(dies.ID()); w == nil || w.State != StateReady {
		t.Errorf("%+v, while nothing can be seen", w)
	}
	r.Do("CONFIG", "SET", "maxmemory", "0")
	awaitState(t, a, dies.ID(), StateLost)
	awaitState(t, a, lives.ID(), StateReady)
}
