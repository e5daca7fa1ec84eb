package outside

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// forms are the adapter's forms, each with the emitter that goes with it.
var forms = []struct {
	name    string
	adapter adapter.Form
	emitter func(*redis.Client) (*emitter.Emitter, error)
}{
	{
		"classic", adapter.Classic{},
		func(c *redis.Client) (*emitter.Emitter, error) { return emitter.New(emitter.Config{Redis: c}) },
	},
	{
		"sharded", adapter.Sharded{},
		func(c *redis.Client) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: c, Form: emitter.Sharded{}})
		},
	},
	{
		"streams", adapter.Streams{},
		func(c *redis.Client) (*emitter.Emitter, error) {
			return emitter.New(emitter.Config{Redis: c, Form: emitter.Streams{}})
		},
	},
}

// Two workers, a router over the directory and an emitter, in each form of the adapter.
func TestWorkersBehindARouter(t *testing.T) {
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			url := startRedis(t)
			for _, name := range []string{"one", "two"} {
				startWorker(t, name, worker.Config{
					Redis: sidereal.Redis{URL: url}, Adapter: adapter.Config{Form: form.adapter},
				})
			}
			entry := startRouter(t, openDirectory(t, url), 2)
			one, other := connectBoth(t, entry)
			talk(t, one, other)

			c := redis.NewClient(&redis.Options{Addr: strings.TrimPrefix(url, "redis://"), ContextTimeoutEnabled: true})
			defer c.Close()
			e, err := form.emitter(c)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := e.Emit(ctx, "said", "from the emitter"); err != nil {
				t.Fatal(err)
			}
			one.hears(t, "from the emitter")
			other.hears(t, "from the emitter")
		})
	}
}

// Servers without a worker around them, which a router finds in a list.
func TestServersListedByHand(t *testing.T) {
	url := startRedis(t)
	var list []string
	for _, name := range []string{"one", "two"} {
		cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: url}})
		if err != nil {
			t.Fatal(err)
		}
		io, err := socketio.New(socketio.Config{Adapter: cluster})
		if err != nil {
			t.Fatal(err)
		}
		if err := app(name)(t.Context(), io); err != nil {
			t.Fatal(err)
		}
		run(t, name, io.Run)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := cluster.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(io)
		t.Cleanup(server.Close)
		list = append(list, server.URL)
	}
	upstreams, err := directory.NewUpstreams(directory.UpstreamConfig{List: strings.Join(list, ","), Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, "upstreams", upstreams.Run)
	one, other := connectBoth(t, startRouter(t, upstreams, 2))
	talk(t, one, other)
}

// A worker alone needs neither Redis nor router. A program may also fill its Config from the
// environment.
func TestWorkerAlone(t *testing.T) {
	t.Setenv("SIDEREAL_ADDR", "127.0.0.1:0")
	cfg, err := worker.FromEnv(worker.Config{Addr: ":1", Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var info worker.Info
	err = worker.Run(ctx, cfg, func(ctx context.Context, io *socketio.Server) error {
		info = worker.InfoFrom(ctx)
		stop()
		return app("alone")(ctx, io)
	})
	if err != nil || info.ID == "" {
		t.Errorf("%+v, %v", info, err)
	}
}

// One connection to Redis serves several parts of a process.
func TestPartsShareAConnection(t *testing.T) {
	conn, err := sidereal.OpenRedis(sidereal.Redis{URL: startRedis(t)}, logger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	run(t, "redis", conn.Run)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	dir, err := directory.Open(ctx, directory.Config{Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	run(t, "directory", dir.Run)
	if err := dir.Synced(ctx); err != nil {
		t.Fatal(err)
	}
	if err := dir.Check(ctx); err != nil {
		t.Fatal(err)
	}
}
