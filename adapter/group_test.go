package adapter

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestAGroupKeepsToItself: what two members of a group say to all, only the third server hears, and only that one is asked
// and counted.
func TestAGroupKeepsToItself(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(Config) (*Redis, error){
		"classic": NewRedis,
		"sharded": func(c Config) (*Redis, error) { return NewSharded(ShardedConfig{Config: c}) },
		"streams": func(c Config) (*Redis, error) { return NewStreams(StreamsConfig{Config: c}) },
	} {
		t.Run(name, func(t *testing.T) { checkGroup(t, make) })
	}
}

func checkGroup(t *testing.T, make func(Config) (*Redis, error)) {
	url := testkit.StartRedis(t).URL()
	group := new(Group)
	locals := []*fakeLocal{
		newFakeLocal("/", &fakeSocket{id: "a", name: "a"}), newFakeLocal("/", &fakeSocket{id: "b", name: "b"}),
		newFakeLocal("/", &fakeSocket{id: "c", name: "c"}),
	}
	var servers []*server
	var adapters []cluster.Adapter
	for i, l := range locals {
		cfg := Config{URL: url, RequestsTimeout: time.Hour}
		if i < 2 {
			cfg.Group = group
		}
		l.handle = func(string) (packet.Payload, bool) { return text(`"` + l.sockets[0].name + `"`), true }
		l.answer = func(s *fakeSocket, _ string) (packet.Payload, bool) { return text(`"` + s.name + `"`), true }
		r, err := make(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s, a := startRedis(t, r, l)
		servers, adapters = append(servers, s), append(adapters, a[0])
	}
	link(t, servers...)
	ctx := background(t)

	for i, want := range []int{2, 2, 3} {
		if n, err := adapters[i].ServerCount(ctx); n != want || err != nil {
			t.Errorf("server %d counts %d, %v; want %d", i, n, err, want)
		}
	}
	found, err := adapters[0].FetchSockets(ctx, cluster.Target{})
	if err != nil || len(found) != 1 || found[0].ID != "c" {
		t.Errorf("a member finds %v, %v", found, err)
	}
	if found, err = adapters[2].FetchSockets(ctx, cluster.Target{}); err != nil || len(found) != 2 {
		t.Errorf("the other finds %v, %v", found, err)
	}
	answers, err := adapters[1].ServerSideEmitWithAck(ctx, text(`"who"`))
	if err != nil || len(answers) != 1 || string(answers[0].JSON) != `["c"]` {
		t.Errorf("a member hears %v, %v", answers, err)
	}
	clients := 0
	err = adapters[0].BroadcastWithAck(ctx, &cluster.Broadcast{Data: text(`"ask"`)}, time.Minute, func(n int) { clients += n }, func(packet.Payload) {})
	if err != nil || clients != 1 {
		t.Errorf("a member asks %d clients, %v", clients, err)
	}
	if err := adapters[0].Broadcast(&cluster.Broadcast{Data: text(`"ev"`)}); err != nil {
		t.Fatal(err)
	}
	if err := adapters[2].Broadcast(&cluster.Broadcast{Data: text(`"last"`)}); err != nil {
		t.Fatal(err)
	}
	wait(t, locals[2], 3)                       // the event, the question, and the broadcast
	for _, got := range wait(t, locals[1], 1) { // the first thing that it hears
		if eventOf(got.payload) != "last" {
			t.Errorf("a member hears %s of the other", got.payload.JSON)
		}
	}
}

// slow is a Local in another process: it answers when the test lets it.
type slow struct {
	*fakeLocal
	asked chan struct{}
	let   chan struct{}
}

func (s slow) FetchLater(t cluster.Target, found func([]cluster.SocketInfo)) {
	s.asked <- struct{}{}
	go func() {
		<-s.let
		found(s.Fetch(t))
	}()
}

func (s slow) DeliverWithAckLater(b *cluster.Broadcast, timeout time.Duration, counted func(int), answered func(packet.Payload)) {
	s.asked <- struct{}{}
	go func() {
		<-s.let
		counted(s.DeliverWithAck(b, timeout, answered))
	}()
}

// TestOneThatAnswersLaterHearsMeanwhile: a question to it does not hold up what comes behind.
func TestOneThatAnswersLaterHearsMeanwhile(t *testing.T) {
	m := miniredis.RunT(t)
	asker, a := start(t, Config{URL: url(m), RequestsTimeout: time.Hour}, newFakeLocal("/"))
	far := slow{newFakeLocal("/", &fakeSocket{id: "far", name: "far"}), make(chan struct{}, 2), make(chan struct{})}
	far.answer = func(*fakeSocket, string) (packet.Payload, bool) { return text(`"answer"`), true }
	r, err := NewRedis(Config{URL: url(m)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(far); err != nil {
		t.Fatal(err)
	}
	s := run(t, r)
	if err := r.Wait(background(t)); err != nil {
		t.Fatal(err)
	}
	link(t, asker, s)
	fetched, asked := make(chan []cluster.SocketInfo, 1), make(chan string, 1)
	go func() {
		found, err := a[0].FetchSockets(background(t), cluster.Target{})
		if err != nil {
			t.Error(err)
		}
		fetched <- found
	}()
	go func() {
		var answer string
		err := a[0].BroadcastWithAck(background(t), &cluster.Broadcast{Data: text(`"ask"`)}, time.Minute,
			func(int) {}, func(p packet.Payload) { answer = string(p.JSON) })
		if err != nil {
			t.Error(err)
		}
		asked <- answer
	}()
	<-far.asked
	<-far.asked
	if err := a[0].Broadcast(&cluster.Broadcast{Data: text(`"meanwhile"`)}); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, far.fakeLocal, 1)[0]; eventOf(got.payload) != "meanwhile" {
		t.Errorf("it hears %s first", got.payload.JSON)
	}
	close(far.let)
	if found := <-fetched; len(found) != 1 || found[0].ID != "far" {
		t.Errorf("found %v", found)
	}
	if answer := <-asked; answer != `["answer"]` {
		t.Errorf("answered %s", answer)
	}
}

func TestAGroupForgetsAtLast(t *testing.T) {
	var g Group
	for i := range remembered + 1 {
		uid := string(rune('a')) + string(rune(i))
		g.add("/", uid)
		g.remove("/", uid)
	}
	if len(g.uids) != remembered || g.has([]byte("a\x00")) || len(g.members) != 0 {
		t.Errorf("%d uids, %d namespaces", len(g.uids), len(g.members))
	}
	var none *Group
	if none.has([]byte("x")) || none.others("/", "x") != nil {
		t.Error("no group has members")
	}
}
