package adapter

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestAGroupKeepsToItself: what two members of a group say to all, only the third server hears, and
// only that one is asked and counted.
func TestAGroupKeepsToItself(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]Form{"classic": Classic{}, "sharded": Sharded{}, "streams": Streams{}} {
		t.Run(name, func(t *testing.T) { checkGroup(t, form) })
	}
}

func checkGroup(t *testing.T, form Form) {
	url := testkit.StartRedis(t).URL()
	group := new(Group)
	locals := []*linktest.Local{
		linktest.NewLocal("/", &linktest.Socket{ID: "a", Name: "a"}), linktest.NewLocal("/", &linktest.Socket{ID: "b", Name: "b"}),
		linktest.NewLocal("/", &linktest.Socket{ID: "c", Name: "c"}),
	}
	var servers []*server
	var adapters []cluster.Adapter
	for i, l := range locals {
		cfg := Config{Redis: at(url), Form: form, RequestsTimeout: time.Hour}
		if i < 2 {
			cfg.Group = group
		}
		l.Handle = func(string) (packet.Payload, bool) { return linktest.Text(`"` + l.Sockets[0].Name + `"`), true }
		l.Acks = func(s *linktest.Socket, _ string) (packet.Payload, bool) {
			return linktest.Text(`"` + s.Name + `"`), true
		}
		s, a := start(t, cfg, l)
		servers, adapters = append(servers, s), append(adapters, a[0])
	}
	linktest.Meet(t, servers...)
	ctx := linktest.Background(t)

	for i, want := range []int{2, 2, 3} {
		if n, err := adapters[i].ServerCount(ctx); n != want || err != nil {
			t.Errorf("server %d counts %d, %v; want %d", i, n, err, want)
		}
	}
	found, err := linktest.Fetch(ctx, adapters[0], cluster.Target{})
	if err != nil || len(found) != 1 || found[0].ID != "c" {
		t.Errorf("a member finds %v, %v", found, err)
	}
	if found, err = linktest.Fetch(ctx, adapters[2], cluster.Target{}); err != nil || len(found) != 2 {
		t.Errorf("the other finds %v, %v", found, err)
	}
	answers, err := linktest.AskServers(ctx, adapters[1], linktest.Text(`"who"`))
	if err != nil || len(answers) != 1 || string(answers[0].JSON) != `["c"]` {
		t.Errorf("a member hears %v, %v", answers, err)
	}
	clients, _, err := linktest.AskClients(ctx, adapters[0], &cluster.Broadcast{Data: linktest.Text(`"ask"`)}, time.Minute)
	if err != nil || clients != 1 {
		t.Errorf("a member asks %d clients, %v", clients, err)
	}
	if err := adapters[0].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"ev"`)}); err != nil {
		t.Fatal(err)
	}
	if err := adapters[2].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"last"`)}); err != nil {
		t.Fatal(err)
	}
	linktest.Wait(t, locals[2], 3)                       // the event, the question, and the broadcast
	for _, got := range linktest.Wait(t, locals[1], 1) { // the first thing that it hears
		if linktest.EventOf(got.Payload) != "last" {
			t.Errorf("a member hears %s of the other", got.Payload.JSON)
		}
	}
}

// slow is a Local in another process: it answers when the test lets it.
type slow struct {
	*linktest.Local
	asked chan struct{}
	let   chan struct{}
}

func (s slow) Answer(q cluster.Question, answer func(cluster.Answer)) {
	s.asked <- struct{}{}
	go func() {
		<-s.let
		s.Local.Answer(q, answer)
	}()
}

// TestOneThatAnswersLaterHearsMeanwhile: a question to it does not hold up what comes behind.
func TestOneThatAnswersLaterHearsMeanwhile(t *testing.T) {
	m := miniredis.RunT(t)
	asker, a := start(t, Config{Redis: at(linktest.URL(m)), RequestsTimeout: time.Hour}, linktest.NewLocal("/"))
	far := slow{linktest.NewLocal("/", &linktest.Socket{ID: "far", Name: "far"}), make(chan struct{}, 2), make(chan struct{})}
	far.Acks = func(*linktest.Socket, string) (packet.Payload, bool) { return linktest.Text(`"answer"`), true }
	s, _ := start(t, on(linktest.URL(m)), far)
	linktest.Meet(t, asker, s)
	fetched, asked := make(chan []cluster.SocketInfo, 1), make(chan string, 1)
	go func() {
		found, err := linktest.Fetch(linktest.Background(t), a[0], cluster.Target{})
		if err != nil {
			t.Error(err)
		}
		fetched <- found
	}()
	go func() {
		_, acks, err := linktest.AskClients(linktest.Background(t), a[0], &cluster.Broadcast{Data: linktest.Text(`"ask"`)}, time.Minute)
		if err != nil || len(acks) != 1 {
			t.Error(acks, err)
			acks = []packet.Payload{{}}
		}
		asked <- string(acks[0].JSON)
	}()
	<-far.asked
	<-far.asked
	if err := a[0].Broadcast(&cluster.Broadcast{Data: linktest.Text(`"meanwhile"`)}); err != nil {
		t.Fatal(err)
	}
	if got := linktest.Wait(t, far.Local, 1)[0]; linktest.EventOf(got.Payload) != "meanwhile" {
		t.Errorf("it hears %s first", got.Payload.JSON)
	}
	close(far.let)
	if found := <-fetched; len(found) != 1 || found[0].ID != "far" {
		t.Errorf("found %v", found)
	}
	if answer := <-asked; answer != `["answer"]` {
		t.Errorf("answered %s", answer)
	}
}
