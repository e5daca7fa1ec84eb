package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// trio is three servers that know each other, with one socket each: s0, s1, s2, in room r0, r1, r2
// and all in "all".
type trio struct {
	redis    *miniredis.Miniredis
	servers  []*server
	adapters []cluster.Adapter
	locals   []*linktest.Local
}

func startTrio(t *testing.T, cfg Config) *trio {
	t.Helper()
	c := &trio{redis: miniredis.RunT(t)}
	cfg.Redis.URL = linktest.URL(c.redis)
	for i := range 3 {
		name := fmt.Sprint("s", i)
		l := linktest.NewLocal("/", &linktest.Socket{ID: name, Name: name, Rooms: []string{fmt.Sprint("r", i), "all"}})
		l.Acks = func(s *linktest.Socket, event string) (packet.Payload, bool) {
			p := linktest.Text(`"`+s.Name+`"`, `{"_placeholder":true,"num":0}`)
			p.Attachments = [][]byte{{1}}
			return p, event != "silent"
		}
		l.Handle = func(event string) (packet.Payload, bool) { return linktest.Text(`"` + name + `"`), event != "silent" }
		s, adapters := start(t, cfg, l)
		c.servers, c.adapters, c.locals = append(c.servers, s), append(c.adapters, adapters[0]), append(c.locals, l)
	}
	linktest.Meet(t, c.servers...)
	return c
}

func TestBroadcastsArriveInOrder(t *testing.T) {
	c := startTrio(t, Config{})
	const n = 2000
	for i := range n {
		b := &cluster.Broadcast{Data: linktest.Text(`"ev"`, fmt.Sprint(i))}
		if i%2 == 1 {
			b.Rooms = []string{"all"}
		}
		if err := c.adapters[0].Broadcast(b); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range c.locals[1:] {
		for i, g := range linktest.Wait(t, l, n) {
			if want := fmt.Sprintf(`["ev",%d]`, i); string(g.Payload.JSON) != want {
				t.Fatalf("%s came, want %s", g.Payload.JSON, want)
			}
		}
	}
	if echo := c.locals[0].Take(); len(echo) > 0 {
		t.Errorf("the sender heard %d of its own", len(echo))
	}
}

func TestBroadcastKeepsEverything(t *testing.T) {
	c := startTrio(t, Config{})
	c.locals[1].Sockets[0].Rooms = append(c.locals[1].Sockets[0].Rooms, packet.NumberRoom(42))
	no := false
	p := linktest.Text(`"ev"`, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":0}`, `{"z":1,"a":[null,1.5,"é\u0000"]}`)
	p.Attachments = [][]byte{{}, {1, 2}}
	b := &cluster.Broadcast{
		Target: cluster.Target{Rooms: []string{packet.NumberRoom(42)}, Except: []string{"nobody"}},
		Flags:  cluster.Flags{Volatile: true, Compress: &no, Timeout: 1500 * time.Millisecond, ExpectSingleResponse: true},
		Data:   p,
	}
	if err := c.adapters[0].Broadcast(b); err != nil {
		t.Fatal(err)
	}
	g := linktest.Wait(t, c.locals[1], 1)[0]
	const want = `["ev",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"z":1,"a":[null,1.5,"é\u0000"]}]`
	if string(g.Payload.JSON) != want || string(g.Payload.Attachments[0]) != "\x01\x02" || len(g.Payload.Attachments[1]) != 0 {
		t.Errorf("%s %v", g.Payload.JSON, g.Payload.Attachments)
	}
	if f := g.Flags; !f.Volatile || f.Compress == nil || *f.Compress || f.Timeout != 1500*time.Millisecond || !f.ExpectSingleResponse {
		t.Errorf("flags %+v", f)
	}
}

// TestVolatileGoesOutOnceReady: nothing is held back after Wait.
func TestVolatileGoesOutOnceReady(t *testing.T) {
	r := miniredis.RunT(t)
	cfg := Config{}
	cfg.Redis.URL = linktest.URL(r)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"room"}})
	start(t, cfg, l)
	for range 20 {
		_, adapters := start(t, cfg, linktest.NewLocal("/"))
		if err := adapters[0].Broadcast(&cluster.Broadcast{Flags: cluster.Flags{Volatile: true}, Data: linktest.Text(`"ev"`)}); err != nil {
			t.Fatal(err)
		}
		linktest.Wait(t, l, 1)
	}
}

func TestOrdersReachOthersOnly(t *testing.T) {
	c := startTrio(t, Config{})
	target := cluster.Target{Rooms: []string{"all"}, Except: []string{"s2"}}
	for i, o := range []cluster.Order{
		{Kind: cluster.Join, Target: target, Rooms: []string{"x", packet.NumberRoom(7)}},
		{Kind: cluster.Leave, Target: target, Rooms: []string{"x"}},
		{Kind: cluster.Disconnect, Target: cluster.Target{Rooms: []string{"r2"}}, CloseTransport: true},
		{Kind: cluster.Raise, Event: linktest.Text(`"hello"`, `1`)},
	} {
		if err := c.adapters[0].Order(o); err != nil {
			t.Fatal(i, err)
		}
	}
	linktest.Wait(t, c.locals[1], 3)
	log := linktest.Wait(t, c.locals[2], 4)
	if got := c.locals[1].Sockets[0].Rooms; !slices.Contains(got, packet.NumberRoom(7)) || slices.Contains(got, "x") {
		t.Errorf("rooms %q", got)
	}
	if !log[2].Gone || string(log[3].Payload.JSON) != `["hello",1]` {
		t.Errorf("%+v", log)
	}
	if echo := c.locals[0].Take(); len(echo) > 0 {
		t.Errorf("the sender carried out %d of its own", len(echo))
	}
}

func TestFetchSockets(t *testing.T) {
	c := startTrio(t, Config{})
	c.locals[1].Sockets[0].Data = `{"b":1,"a":2}`
	c.locals[1].Sockets[0].Shake = []byte(`{"headers":{"x-many":"a, b"},"issued":1795156613069,"auth":{"z":1,"a":2}}`)
	found, err := linktest.Fetch(linktest.Background(t), c.adapters[0], cluster.Target{})
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	slices.SortFunc(found, func(a, b cluster.SocketInfo) int { return int(a.ID[1]) - int(b.ID[1]) })
	s := found[0]
	if s.ID != "s1" || !slices.Equal(s.Rooms, []string{"s1", "r1", "all"}) || string(s.Data.JSON) != `{"b":1,"a":2}` {
		t.Errorf("%+v", s)
	}
	if want := c.locals[1].Sockets[0].Shake; string(s.Handshake) != string(want) {
		t.Errorf("handshake %s, want %s", s.Handshake, want)
	}
	if string(found[1].Handshake) != "{}" {
		t.Errorf("handshake %s of a socket without one", found[1].Handshake)
	}
	found, err = linktest.Fetch(linktest.Background(t), c.adapters[0], cluster.Target{Rooms: []string{"r2"}})
	if err != nil || len(found) != 1 || found[0].ID != "s2" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestServerSideEmitWithAck(t *testing.T) {
	c := startTrio(t, Config{})
	answers, err := linktest.AskServers(linktest.Background(t), c.adapters[0], linktest.Text(`"ask"`))
	var got []string
	for _, a := range answers {
		got = append(got, string(a.JSON))
	}
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{`["s1"]`, `["s2"]`}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPartialAnswersComeWithNodesError(t *testing.T) {
	t.Parallel()
	c := startTrio(t, Config{RequestsTimeout: time.Second})
	c.locals[2].Handle = nil
	answers, err := linktest.AskServers(context.Background(), c.adapters[0], linktest.Text(`"ask"`))
	var timeout *cluster.MissingError
	if !errors.As(err, &timeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if want := "timeout reached: only 1 responses received out of 2"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if len(answers) != 1 || timeout.Answered != 1 || timeout.Expected != 2 || len(timeout.Missing) != 1 {
		t.Errorf("%d answers, %+v", len(answers), timeout)
	}
}

func TestBroadcastWithAck(t *testing.T) {
	c := startTrio(t, Config{})
	var counts []int
	var answers []string
	q := cluster.Question{Kind: cluster.AskClients, Event: linktest.Text(`"ask"`), Timeout: 10 * time.Second}
	err := c.adapters[0].Ask(linktest.Background(t), q, func(a cluster.Answer) {
		if a.Ack {
			answers = append(answers, string(a.Payload.JSON))
		} else {
			counts = append(counts, a.Clients)
		}
	})
	slices.Sort(answers)
	if err != nil || !slices.Equal(counts, []int{1, 1}) || !slices.Equal(answers, []string{`["s1"]`, `["s2"]`}) {
		t.Errorf("%v, %q, %v", counts, answers, err)
	}
}

func TestBroadcastWithAckEndsByTimeout(t *testing.T) {
	c := startTrio(t, Config{})
	silent := &cluster.Broadcast{Data: linktest.Text(`"silent"`)}
	clients := 0
	for timeout := 200 * time.Millisecond; clients < 2; timeout *= 2 { // a busy machine counts late
		n, acks, err := linktest.AskClients(linktest.Background(t), c.adapters[0], silent, timeout)
		if clients = n; err != nil || clients > 2 || len(acks) != 0 {
			t.Fatalf("%d clients, %d answers, %v", clients, len(acks), err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := cluster.Question{Kind: cluster.AskClients, Event: silent.Data, Timeout: time.Hour}
	err := c.adapters[0].Ask(ctx, q, func(cluster.Answer) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServerCount(t *testing.T) {
	c := startTrio(t, Config{})
	if n, err := c.adapters[1].ServerCount(linktest.Background(t)); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := c.adapters[2].Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "two servers to be counted", func() bool { n, err := c.adapters[1].ServerCount(linktest.Background(t)); return n == 2 && err == nil })
	if err := c.adapters[2].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"ev"`)}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestAloneNobodyIsAsked(t *testing.T) {
	m := miniredis.RunT(t)
	_, a := start(t, on(linktest.URL(m)), linktest.NewLocal("/"))
	if found, err := linktest.Fetch(linktest.Background(t), a[0], cluster.Target{}); len(found) != 0 || err != nil {
		t.Error(found, err)
	}
	if answers, err := linktest.AskServers(linktest.Background(t), a[0], linktest.Text(`"ev"`)); len(answers) != 0 || err != nil {
		t.Error(answers, err)
	}
	if _, _, err := linktest.AskClients(linktest.Background(t), a[0], &cluster.Broadcast{Data: linktest.Text(`"ev"`)}, time.Hour); err != nil {
		t.Error(err)
	}
}

// TestOneBadMessageCostsThatMessage puts everything that would hurt a Node server between two good
// messages.
func TestOneBadMessageCostsThatMessage(t *testing.T) {
	m := miniredis.RunT(t)
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	s, _ := start(t, Config{Redis: at(linktest.URL(m)), MaxMessageBytes: 1000}, l)
	c := linktest.Dial(t, m)
	good, err := wire.AppendBroadcast(nil, "abcdef", "/", linktest.Text(`"good"`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]string{
		"socket.io#/#":             {"", "\xc0", "\x93", "junk", "\x92\xa6abcdef\x80", string(good[:len(good)-1]), string(make([]byte, 1001))},
		"socket.io#/#s#":           {"\xc1"},
		"socket.io-request#/#":     {"", "{", "\xc0", `{"type":5,"requestId":"x"}`, `{"type":6}`, `{"type":7,"requestId":"x"}`, `[]`},
		"socket.io-response#/#":    {"", "\xc0", `{"requestId":"nobody's"}`},
		"sidereal-peers:socket.io": {"", "{}", `{"v":1}`, `{"v":1,"process":7}`},
	}
	for channel, messages := range bad {
		for _, b := range messages {
			if err := c.Publish(t.Context(), channel, b).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Publish(t.Context(), "socket.io#/#", good).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range linktest.Wait(t, l, len(bad)) {
		if string(g.Payload.JSON) != `["good"]` {
			t.Errorf("%s", g.Payload.JSON)
		}
	}
	testkit.Until(t, "the malformed messages to be counted", func() bool { return s.dropped(t, "malformed") == 18 })
	testkit.Until(t, "the large message to be counted", func() bool { return s.dropped(t, "oversized") == 1 })
}

func TestNamespacesDoNotMix(t *testing.T) {
	m := miniredis.RunT(t)
	names := []string{"/", "/#deep", "/a[b]", "/ab", "/*"}
	locals := func() (all []*linktest.Local) {
		for _, name := range names {
			all = append(all, linktest.NewLocal(name, &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"room", "x#y", ""}}))
		}
		return all
	}
	here, there := locals(), locals()
	s1, a := start(t, on(linktest.URL(m)), here...)
	s2, _ := start(t, on(linktest.URL(m)), there...)
	linktest.Meet(t, s1, s2)
	for i, name := range names {
		for _, rooms := range [][]string{nil, {"room"}, {"x#y"}, {""}, {"room", "x#y"}} {
			b := &cluster.Broadcast{Target: cluster.Target{Rooms: rooms}, Data: linktest.Text(`"ev"`, `"`+name+`"`)}
			if err := a[i].Broadcast(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, l := range there {
		for _, g := range linktest.Wait(t, l, 5) {
			if want := `["ev","` + names[i] + `"]`; string(g.Payload.JSON) != want {
				t.Errorf("%s, want %s", g.Payload.JSON, want)
			}
		}
	}
	// A mark behind all others: whatever came twice came before it.
	if err := a[0].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"mark"`)}); err != nil {
		t.Fatal(err)
	}
	if log := linktest.Wait(t, there[0], 1); string(log[0].Payload.JSON) != `["mark"]` {
		t.Errorf("%s came twice", log[0].Payload.JSON)
	}
	for _, l := range append(there[1:], here...) {
		if log := l.Take(); len(log) > 0 {
			t.Errorf("%s was told %d things too many", l.Name(), len(log))
		}
	}
}
