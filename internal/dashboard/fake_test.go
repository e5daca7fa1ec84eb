package dashboard

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// fakeCluster is a source of two hosts with two workers and a router each.
type fakeCluster struct {
	asked   atomic.Int64 // calls of Samples
	tapping atomic.Int64 // taps under way
	started time.Time
	err     error
}

func (f *fakeCluster) processes() (all []inspect.Process) {
	for _, host := range []string{"host-a", "host-b"} {
		for i, name := range []string{"router", "worker-1", "worker-2"} {
			p := inspect.Process{Host: host, Name: name, Role: "worker", Worker: fmt.Sprintf("w%d", i), PID: 100 + i, Started: f.started}
			if i == 0 {
				p.Role, p.Worker = "router", ""
			}
			all = append(all, p)
		}
	}
	return all
}

func (f *fakeCluster) Samples(context.Context) (all []inspect.Sample, err error) {
	f.asked.Add(1)
	at := time.Now()
	seconds := uint64(at.Sub(f.started).Seconds())
	for _, p := range f.processes() {
		s := inspect.Sample{Process: p, At: at, CPU: time.Duration(seconds) * 100 * time.Millisecond, Memory: 50 << 20, State: "ready",
			UsesRedis: true, RedisUp: true, RedisLatency: 300 * time.Microsecond}
		if p.Role == "worker" {
			s.Sessions, s.Polling, s.Sockets = 100, 10, 110
			s.EventsIn, s.EventsOut, s.BytesIn, s.BytesOut = 1000*seconds, 5000*seconds, 100_000*seconds, 500_000*seconds
			s.Latency[3] = 990 * seconds
			s.Latency[6] = 10 * seconds
		} else {
			s.Connections, s.Requests, s.Relayed = 20, 50*seconds, 5
		}
		all = append(all, s)
	}
	return all, f.err
}

func (f *fakeCluster) History(context.Context) (all []inspect.Point, err error) {
	for i := range 180 {
		all = append(all, inspect.Point{At: time.Now().Add(time.Duration(i-180) * 5 * time.Second), Step: 5 * time.Second, Sessions: 300 + i})
	}
	return all, nil
}

func (f *fakeCluster) Namespaces(context.Context) ([]inspect.Namespace, error) {
	return []inspect.Namespace{{Name: "/", Sockets: 3, Rooms: 2, EventsIn: 7}}, nil
}

func (f *fakeCluster) Rooms(_ context.Context, q inspect.Query) (inspect.Page[inspect.Room], error) {
	return inspect.Page[inspect.Room]{Rows: []inspect.Room{{Namespace: "/", Name: "lobby" + q.Text, Sockets: 3}}, More: 4}, f.err
}

func (f *fakeCluster) Clients(_ context.Context, q inspect.Query) (inspect.Page[inspect.Client], error) {
	c := inspect.Client{Process: f.processes()[1], SID: "w1sid", Socket: "socket1", Namespace: "/", Address: "192.0.2.1:9", Transport: "websocket",
		Connected: f.started, Rooms: []string{"socket1", "lobby"}}
	return inspect.Page[inspect.Client]{Rows: []inspect.Client{c}}, f.err
}

func (f *fakeCluster) Ended(context.Context, inspect.Query) (inspect.Page[inspect.Ended], error) {
	return inspect.Page[inspect.Ended]{}, f.err
}

func (f *fakeCluster) Decisions(context.Context, inspect.Query) (inspect.Page[inspect.Decision], error) {
	return inspect.Page[inspect.Decision]{}, f.err
}

func (f *fakeCluster) Tap(ctx context.Context, q inspect.Query, call func(inspect.Event)) error {
	f.tapping.Add(1)
	defer f.tapping.Add(-1)
	call(inspect.Event{Process: f.processes()[1], At: time.Now(), Kind: "in", Socket: q.ID, Name: "say", Bytes: 12, Payload: []byte(`["secret"]`)})
	<-ctx.Done()
	return nil
}
