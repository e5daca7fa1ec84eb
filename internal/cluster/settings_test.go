package cluster

import (
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

func TestDisagreements(t *testing.T) {
	worker := func(host, path, adapter string) *directory.Worker {
		return &directory.Worker{Host: host, Path: path, Adapter: adapter}
	}
	in := func(host, key, mode string) *directory.Worker {
		return &directory.Worker{Host: host, Path: "/socket.io/", Adapter: "redis-sharded", AdapterKey: key, AdapterMode: mode}
	}
	reading := func(host, stream string, count int) *directory.Worker {
		return &directory.Worker{Host: host, Path: "/socket.io/", Adapter: "redis-streams", AdapterKey: "socket.io", Stream: stream, Streams: count}
	}
	for _, c := range []struct {
		workers []*directory.Worker
		want    []string
	}{
		{nil, nil},
		{[]*directory.Worker{worker("a", "/socket.io/", "redis"), worker("b", "/socket.io/", "redis")}, nil},
		{
			[]*directory.Worker{worker("a", "/socket.io/", "redis"), worker("b", "/rt/", "memory"), worker("b", "/rt/", "memory")},
			[]string{
				`SIDEREAL_ADAPTER must be the same for all workers of an app, and is "memory" on b, "redis" on a`,
				`SIDEREAL_PATH must be the same for all workers of an app, and is "/rt/" on b, "/socket.io/" on a`,
			},
		},
		{
			[]*directory.Worker{in("a", "socket.io", "dynamic"), in("b", "rooms", "dynamic"), in("c", "rooms", "static")},
			[]string{
				`SIDEREAL_ADAPTER_KEY must be the same for all workers of an app, and is "rooms" on b, c, "socket.io" on a`,
				`SIDEREAL_ADAPTER_MODE must be the same for all workers of an app, and is "dynamic" on a, b, "static" on c`,
			},
		},
		{
			[]*directory.Worker{reading("a", "socket.io", 1), reading("b", "rooms", 2)},
			[]string{
				`SIDEREAL_STREAM_NAME must be the same for all workers of an app, and is "rooms" on b, "socket.io" on a`,
				`SIDEREAL_STREAM_COUNT must be the same for all workers of an app, and is "1" on a, "2" on b`,
			},
		},
		{
			[]*directory.Worker{worker("b", "/rt/", "redis")},
			[]string{`SIDEREAL_PATH must be the same for all workers of an app, and is "/rt/" on b, "/socket.io/" on a`},
		},
	} {
		if got := Disagreements(c.workers, "a", "/socket.io/"); !slices.Equal(got, c.want) {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
	}
}
