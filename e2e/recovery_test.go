//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// recovering starts a host over streams whose clients may come back.
func recovering(t *testing.T, redis *testkit.Redis, name string, workers int) *harness.Host {
	t.Helper()
	return harness.StartHost(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Workers: workers,
		Env: []string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_RECOVERY=1m"}})
}

// TestClientOfAKilledHostIsRecovered: the official client loses its worker and all of its host to
// kill -9, and is the socket it was on the other host, with its room and all that was said
// meanwhile.
func TestClientOfAKilledHostIsRecovered(t *testing.T) {
	redis := testkit.StartRedis(t)
	hosts := []*harness.Host{recovering(t, redis, "host-a", 1), recovering(t, redis, "host-b", 1)}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2)
	}
	node := harness.StartNode(t)
	var me whoami
	names := []string{}
	for i := 0; me.Host != "host-a"; i++ { // through the other host's door, so that it stays open
		names = append(names, fmt.Sprint("client-", i))
		node.Must("connect", args{"name": names[i], "url": hosts[1].URL, "options": args{"transports": []string{"websocket"}, "reconnectionDelay": 500}}, nil)
		node.Must("ask", args{"name": names[i], "event": "whoami"}, &me)
	}
	victim := names[len(names)-1]
	const den = "the den of the victim" // no random id contains it
	node.Must("connect", args{"name": "speaker", "url": hosts[1].URL, "options": args{"transports": []string{"websocket"}}}, nil)
	var speaker whoami
	node.Must("ask", args{"name": "speaker", "event": "whoami"}, &speaker)
	for i := 0; speaker.Host != "host-b"; i++ {
		node.Must("connect", args{"name": "speaker", "url": hosts[1].URL, "options": args{"transports": []string{"websocket"}}}, nil)
		node.Must("ask", args{"name": "speaker", "event": "whoami"}, &speaker)
	}
	node.Must("ask", args{"name": victim, "event": "join", "args": []any{den}}, nil)
	say := func(msg string) {
		t.Helper()
		node.Must("ask", args{"name": "speaker", "event": "say", "args": []any{args{"room": den, "msg": msg}}}, nil)
	}
	say("before")
	expectSaid(t, node, victim, "before")
	node.Next(victim, "connect")
	// A worker that dies within a millisecond of a join has not told anybody.
	testkit.Until(t, "the session in Redis", func() bool { return stored(t, redis, den) == 1 })

	hosts[0].Process.Kill(t)
	if e := node.Next(victim, "disconnect"); !strings.HasPrefix(e.Reason, "transport") {
		t.Errorf("disconnected for %q", e.Reason)
	}
	const missed = 20
	for i := range missed {
		say(fmt.Sprint("missed ", i))
	}
	if e := node.Next(victim, "connect"); !e.Recovered || e.Socket != me.ID {
		t.Errorf("came back as %+v, was %s", e, me.ID)
	}
	for i := range missed {
		expectSaid(t, node, victim, fmt.Sprint("missed ", i))
	}
	say("after")
	expectSaid(t, node, victim, "after")
	if n := node.Seen(victim, "said"); n != missed+2 {
		t.Errorf("was told %d things, want %d", n, missed+2)
	}
	var after whoami
	node.Must("ask", args{"name": victim, "event": "whoami"}, &after)
	if after.Host != "host-b" || after.ID != me.ID {
		t.Errorf("is %+v now", after)
	}
}

// stored counts the sessions in Redis that are in a room.
func stored(t *testing.T, server *testkit.Redis, room string) (n int) {
	t.Helper()
	r := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer r.Close()
	keys, err := r.Keys(t.Context(), "sio:session:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		session, err := base64.StdEncoding.DecodeString(r.Get(t.Context(), key).Val())
		if err == nil && bytes.Contains(session, []byte(room)) {
			n++
		}
	}
	return n
}

// crowd are clients in one room that note what they are told: numbers, by one who counts.
type crowd struct {
	entry   atomic.Pointer[string] // host:port
	members []*member
	speaker *client.Socket
	said    int

	mu    sync.Mutex
	conns []net.Conn
}

// cut breaks all connections; until there is a new entry nobody gets in.
func (c *crowd) cut() {
	nowhere := "127.0.0.1:1"
	c.entry.Store(&nowhere)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

type member struct {
	*client.Socket
	mu        sync.Mutex
	told      []string
	connected int
	recovered int
}

// connect opens one connection through the crowd's entry.
func (c *crowd) connect(ctx context.Context, t *testing.T) *client.Socket {
	t.Helper()
	one, err := client.New(client.Config{
		URL: "http://entry", Transports: []string{client.WebSocket}, ReconnectionDelay: 100 * time.Millisecond, ReconnectionDelayMax: time.Second,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, *c.entry.Load())
			if err == nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.conns = append(c.conns, conn)
			}
			return conn, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close() })
	return one.Of("/")
}

func (c *crowd) join(ctx context.Context, t *testing.T) *member {
	t.Helper()
	m := &member{Socket: c.connect(ctx, t)}
	m.On("said", func(s struct{ Msg string }) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.told = append(m.told, s.Msg)
	})
	m.OnConnect(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.connected++; m.Recovered() {
			m.recovered++
		}
	})
	if err := m.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.EmitWithAck(ctx, "join", "crowd"); err != nil {
		t.Fatal(err)
	}
	return m
}

// gather connects n members, some at a time.
func gather(ctx context.Context, t *testing.T, entry string, n int) *crowd {
	t.Helper()
	c := &crowd{members: make([]*member, n)}
	c.entry.Store(&entry)
	var joining sync.WaitGroup
	const atOnce = 8
	for k := range atOnce {
		joining.Go(func() {
			for i := k; i < n && !t.Failed(); i += atOnce {
				c.members[i] = c.join(ctx, t)
			}
		})
	}
	joining.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// say says the next numbers. A speaker that is not connected waits until it is.
func (c *crowd) say(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	if c.speaker == nil {
		c.speaker = c.connect(ctx, t)
		if err := c.speaker.Connect(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		if _, err := c.speaker.EmitWithAck(ctx, "say", args{"room": "crowd", "msg": fmt.Sprint(c.said)}); err != nil {
			t.Fatal(err)
		}
		c.said++
	}
}

// back counts the members that were connected more than once, and those that were recovered every
// time.
func (c *crowd) back() (back, recovered int) {
	for _, m := range c.members {
		m.mu.Lock()
		if m.connected > 1 {
			back++
		}
		if m.connected > 1 && m.recovered == m.connected-1 {
			recovered++
		}
		m.mu.Unlock()
	}
	return back, recovered
}

// told wants each member to have been told everything, once and in order.
func (c *crowd) told(t *testing.T) {
	t.Helper()
	for i, m := range c.members {
		testkit.Until(t, fmt.Sprintf("the last word for member %d", i), func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.told) >= c.said
		})
		m.mu.Lock()
		for k, msg := range m.told {
			if msg != fmt.Sprint(k) {
				t.Fatalf("member %d, connected %d times, %d of them recovered, was told %q", i, m.connected, m.recovered, m.told)
			}
		}
		m.mu.Unlock()
	}
}

// TestThousandClientsAreRecoveredAtOnce: a thousand clients lose their host to kill -9 and come to
// another at once, while somebody speaks there.
func TestThousandClientsAreRecoveredAtOnce(t *testing.T) {
	const clients = 1000
	redis := testkit.StartRedis(t)
	a := recovering(t, redis, "host-a", 1)
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	c := gather(ctx, t, a.Addr, clients)
	b := recovering(t, redis, "host-b", 1)
	testkit.Until(t, "all sessions in Redis", func() bool { return stored(t, redis, "crowd") == clients })
	c.say(ctx, t, 5) // the speaker comes to b with the others
	c.speaker.Disconnect()
	c.speaker = nil
	c.entry.Store(&b.Addr)
	killed := time.Now()
	a.Process.Kill(t)
	b.AwaitWorkers(t, 1)
	c.say(ctx, t, 50)
	testkit.Until(t, "a thousand clients back", func() bool { n, _ := c.back(); return n == clients })
	returned := time.Since(killed)
	c.say(ctx, t, 5)
	c.told(t)
	if back, recovered := c.back(); recovered != clients {
		t.Errorf("%d came back, %d as who they were", back, recovered)
	}
	t.Logf("%d clients came back within %v, each with what was said meanwhile", clients, returned.Round(time.Millisecond))
}

// beside is a process that is no server: what it returns says the next number.
func beside(t *testing.T, server *testkit.Redis) func(ctx context.Context, c *crowd) {
	t.Helper()
	r := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { r.Close() })
	e, err := emitter.New(emitter.Config{Redis: r, Form: emitter.Streams{}})
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, c *crowd) {
		t.Helper()
		if err := e.To("crowd").Emit(ctx, "said", args{"msg": fmt.Sprint(c.said)}); err != nil {
			t.Fatal(err)
		}
		c.said++
	}
}

// TestSessionsPassBetweenNodeAndGo: a client of a Node server comes back at ours, and then at
// Node's again, and is who it was each time.
func TestSessionsPassBetweenNodeAndGo(t *testing.T) {
	redis := testkit.StartRedis(t)
	host := recovering(t, redis, "host-a", 1)
	node := harness.StartNode(t)
	var there struct{ URL string }
	node.Must("serve", args{"name": "node-server", "redis": redis.URL(), "streams": true,
		"options": args{"connectionStateRecovery": args{}}}, &there)
	nodeAddr := strings.TrimPrefix(there.URL, "http://")
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	aside := beside(t, redis)
	c := gather(ctx, t, nodeAddr, 1)
	m := c.members[0]
	id := m.ID()
	aside(ctx, c)
	c.told(t)
	for n, next := range []string{host.Addr, nodeAddr, host.Addr} {
		c.cut()
		testkit.Until(t, "the session in Redis", func() bool { return stored(t, redis, "crowd") == 1 })
		for range 3 {
			aside(ctx, c)
		}
		c.entry.Store(&next)
		testkit.Until(t, "the client back", func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.connected == n+2
		})
		aside(ctx, c)
		c.told(t)
		if _, recovered := c.back(); recovered != 1 || m.ID() != id {
			t.Errorf("move %d: recovered %v, as %s, was %s", n, recovered == 1, m.ID(), id)
		}
	}
}

// TestReloadLosesNothing: while somebody speaks, all workers of a host are replaced; each client is
// told everything.
func TestReloadLosesNothing(t *testing.T) {
	const clients = 200
	redis := testkit.StartRedis(t)
	host := recovering(t, redis, "host-a", 2)
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	c := gather(ctx, t, host.Addr, clients)
	c.say(ctx, t, 1)
	c.told(t) // the next speaker is another one, and only one speaker's words keep their order
	old := map[int]bool{}
	for _, child := range host.Children(t) {
		if child.Worker != "" {
			old[child.PID] = true
		}
	}
	host.Signal(t, syscall.SIGUSR2)
	aside := beside(t, redis) // the speaker would be moved, too, and not know whether its last word was heard
	for replaced := false; !replaced; {
		aside(ctx, c)
		replaced = true
		for _, child := range host.Children(t) {
			replaced = replaced && !old[child.PID]
		}
	}
	testkit.Until(t, "all members back", func() bool { n, _ := c.back(); return n == clients })
	for range 5 {
		aside(ctx, c)
	}
	c.told(t)
	if back, recovered := c.back(); recovered != clients {
		t.Errorf("%d came back, %d as who they were", back, recovered)
	}
}
