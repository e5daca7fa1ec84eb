package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// pretend makes a peer of ours that subscribes and beats as one does, but never answers: a frozen
// process. Leave says goodbye, kill ends it without a word.
func pretend(t *testing.T, m *miniredis.Miniredis, s *server, process, uid string) (leave, kill func()) {
	t.Helper()
	c := linktest.Dial(t, m)
	sub := c.Subscribe(t.Context(), "socket.io#/#", "socket.io#/#"+uid+"#", "nothing")
	t.Cleanup(func() { _ = sub.Close() })
	for range 3 {
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	say := func(b beat) {
		b.V, b.Process = beatVersion, process
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(t.Context(), "sidereal-peers:socket.io", text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	say(beat{Namespaces: map[string]string{"/": uid}})
	testkit.Until(t, "the peer to be known", func() bool { return s.peers.has(uid) })
	return func() { say(beat{Gone: true}) }, func() { _ = sub.Close() }
}

// has reports whether uid is a namespace of a living process of ours.
func (p *peers) has(uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	process, ok := p.owner[uid]
	return ok && !p.known[process].silent
}

// TestAPeerThatIsGoneIsNotWaitedFor: whether it says goodbye or dies with the question unread.
func TestAPeerThatIsGoneIsNotWaitedFor(t *testing.T) {
	for name, killed := range map[string]bool{"goodbye": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			m, s, a, _ := pair(t, Config{RequestsTimeout: time.Hour})
			end, kill := pretend(t, m, s, "frozen", "frozen")
			if killed {
				end = kill
			}
			type result struct {
				found []cluster.SocketInfo
				err   error
			}
			done := make(chan result)
			go func() {
				found, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{})
				done <- result{found, err}
			}()
			untilOneOwes(t, s)
			end()
			if r := <-done; r.err != nil || len(r.found) != 1 {
				t.Errorf("%+v, %v", r.found, r.err)
			}
			if killed && !s.peers.has("frozen") {
				t.Error("the end was noticed by its silence")
			}
		})
	}
}

// TestClientsOfAKilledPeerAreNotWaitedFor: their acknowledgements will not come.
func TestClientsOfAKilledPeerAreNotWaitedFor(t *testing.T) {
	m, s, a, l := pair(t, Config{})
	l.SetAcks(func(s *linktest.Socket, _ string) (packet.Payload, bool) {
		return linktest.Text(`"` + s.Name + `"`), true
	})
	_, kill := pretend(t, m, s, "frozen", "frozen")
	done := make(chan error)
	go func() {
		b := &cluster.Broadcast{Data: linktest.Text(`"hello"`)}
		_, _, err := linktest.AskClients(linktest.Background(t), a, b, time.Hour)
		done <- err
	}()
	untilOneOwes(t, s)
	kill()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !s.peers.has("frozen") {
		t.Error("the end was noticed by its silence")
	}
}

// untilOneOwes returns once s has asked, and all but one have answered.
func untilOneOwes(t *testing.T, s *server) {
	t.Helper()
	testkit.Until(t, "one answer to be missing", func() bool {
		for _, c := range s.namespaces.all()[0].asks.open.all() {
			if owing := c.owing(); len(owing) == 1 && owing[0] == "frozen" {
				return true
			}
		}
		return false
	})
}

func TestASilentPeerIsNotCountedThoughItSubscribes(t *testing.T) {
	m, s, a, _ := pair(t, Config{})
	pretend(t, m, s, "frozen", "frozen")
	if n, err := a.ServerCount(linktest.Background(t)); n != 3 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
	s.peers.mu.Lock()
	s.peers.known["frozen"].heard = time.Now().Add(-time.Hour)
	s.peers.since = time.Now().Add(-time.Hour)
	s.peers.mu.Unlock()
	s.peers.expire()
	if n, err := a.ServerCount(linktest.Background(t)); n != 2 || err != nil {
		t.Errorf("%d servers, %v", n, err)
	}
	found, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{})
	if err != nil || len(found) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestAnUnknownSubscriberIsWaitedFor: whoever subscribes to the request channel counts as a server
// of Node's. The answers of the others come with the error.
func TestAnUnknownSubscriberIsWaitedFor(t *testing.T) {
	t.Parallel()
	m, _, a, _ := pair(t, Config{RequestsTimeout: time.Second})
	sub := linktest.Dial(t, m).Subscribe(t.Context(), "socket.io#/#")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := linktest.Fetch(t.Context(), a, cluster.Target{})
	var timeout *cluster.MissingError
	if !errors.As(err, &timeout) || err.Error() != "timeout reached: only 1 responses received out of 2" {
		t.Fatal(err)
	}
	if len(found) != 1 || timeout.Answered != 1 || timeout.Expected != 2 || len(timeout.Missing) != 0 {
		t.Errorf("%+v, %+v", found, timeout)
	}
}

// listening is a link that takes its Redis for there, and hears the beats that it is told.
func listening(t *testing.T) (l *Link, hear func(beat string)) {
	t.Helper()
	l = unconnected(t).Link
	l.outages.up.Store(true)
	return l, func(beat string) {
		t.Helper()
		if err := l.peers.receive([]byte(beat)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hear := listening(t)
		hear(`{"v":1,"process":"p","nsps":{"/":"uid"}}`)
		time.Sleep(beatsMissed * beatEvery)
		r.peers.expire()
		if !r.peers.has("uid") {
			t.Error("dead too soon")
		}
		time.Sleep(time.Second)
		r.outages.up.Store(false) // nobody is heard: silence means nothing
		r.peers.expire()
		if !r.peers.has("uid") {
			t.Error("declared dead while nobody could be heard")
		}
		r.outages.onUp()
		time.Sleep(beatsMissed * beatEvery)
		r.peers.expire()
		if !r.peers.has("uid") {
			t.Error("not given the time to come back")
		}
		time.Sleep(time.Millisecond)
		r.peers.expire()
		if r.peers.has("uid") {
			t.Error("still alive")
		}
		hear(`{"v":2,"process":"p","nsps":{"/":"uid"},"news":[]}`)
		if !r.peers.has("uid") {
			t.Error("back, but not believed")
		}
		hear(`{"v":1,"process":"p","gone":true}`)
		if r.peers.has("uid") || len(r.peers.known) > 0 {
			t.Error("said goodbye, but is known")
		}
	})
}

// TestOneThatIsAskedForABeatHasSixSeconds: whoever asked, and however seldom it beats.
func TestOneThatIsAskedForABeatHasSixSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, hear := listening(t)
		hear(`{"v":1,"process":"p","every":20000,"nsps":{"/":"uid"}}`)
		time.Sleep(10 * time.Second)
		hear(`{"v":1,"process":"q","every":20000,"asks":["p"]}`)
		time.Sleep(time.Second)
		hear(`{"v":1,"process":"q","every":20000,"asks":["p"]}`) // which is no new start
		time.Sleep(5 * time.Second)
		r.peers.expire()
		if !r.peers.has("uid") {
			t.Error("dead too soon")
		}
		time.Sleep(time.Millisecond)
		r.peers.expire()
		if r.peers.has("uid") {
			t.Error("still alive")
		}
		hear(`{"v":1,"process":"p","every":20000,"nsps":{"/":"uid"}}`)
		time.Sleep(59 * time.Second)
		r.peers.expire()
		if !r.peers.has("uid") {
			t.Error("it beat, and was not believed")
		}
		for len(r.peers.wake) > 0 {
			<-r.peers.wake
		}
		hear(`{"v":1,"process":"q","every":20000,"asks":["` + r.peers.process + `"]}`)
		if len(r.peers.wake) == 0 {
			t.Error("this process was asked, and does not beat")
		}
	})
}

// TestWhoLeavesARequestUnansweredIsAskedForABeat: if it beats seldom. An answer that its clients
// owe is asked for of few.
func TestWhoLeavesARequestUnansweredIsAskedForABeat(t *testing.T) {
	m, s, a, _ := pair(t, Config{RequestsTimeout: time.Hour})
	heard := linktest.Dial(t, m).Subscribe(t.Context(), s.peers.channel)
	defer heard.Close()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave, _ := pretend(t, m, s, "frozen", "frozen")
	s.peers.mu.Lock()
	s.peers.known["frozen"].every, s.peers.known["frozen"].heard = time.Hour, time.Now().Add(-time.Minute)
	s.peers.mu.Unlock()
	done := make(chan error)
	go func() {
		_, err := linktest.Fetch(linktest.Background(t), a, cluster.Target{})
		done <- err
	}()
	for {
		msg, err := heard.ReceiveMessage(linktest.Background(t))
		if err != nil {
			t.Fatal(err)
		}
		var b beat
		if err := json.Unmarshal([]byte(msg.Payload), &b); err != nil {
			t.Fatal(err)
		}
		if slices.Equal(b.Asks, []string{"frozen"}) && b.Namespaces["/"] == s.namespaces.all()[0].UID {
			break
		}
	}
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// counting notes of how many channels Redis is asked for the subscribers at once, at most.
type counting struct {
	Form
	most atomic.Int64
}

func (c *counting) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	for n := int64(len(channels)); ; {
		if most := c.most.Load(); n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	return c.Form.NumSub(ctx, node, channels)
}

// TestWhatIsCountedDoesNotGrowWithThePeers: Redis would count the subscribers of each of their
// channels.
func TestWhatIsCountedDoesNotGrowWithThePeers(t *testing.T) {
	m := miniredis.RunT(t)
	c := &counting{}
	s, _ := start(t, linktest.URL(m), Config{Wrap: func(f Form) Form { c.Form = f; return c }}, linktest.NewLocal("/"))
	n := s.namespaces.all()[0]
	const more = 30
	subs := make([]*redis.PubSub, more)
	for i := range subs {
		uid := fmt.Sprintf("peer%d", i)
		subs[i] = linktest.Dial(t, m).Subscribe(t.Context(), s.peers.channel, n.protocol.RequestChannel(), n.protocol.AnswerChannel(uid))
		defer subs[i].Close()
		for range 3 {
			if _, err := subs[i].Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.peers.receive(fmt.Appendf(nil, `{"v":1,"process":"process%d","nsps":{"/":%q}}`, i, uid)); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (expected int, most int64) {
		t.Helper()
		c.most.Store(0)
		found, err := n.asks.responders(linktest.Background(t))
		if err != nil {
			t.Fatal(err)
		}
		return found.expected, c.most.Load()
	}
	if expected, most := count(); expected != more || most > 3 {
		t.Errorf("%d answers expected, by the subscribers of %d channels", expected, most)
	}
	subs[0].Close() // killed
	testkit.Until(t, "the peer that left to be forgotten", func() bool { expected, _ := count(); return expected == more-1 })
	if expected, most := count(); expected != more-1 || most > 3 {
		t.Errorf("one was killed: %d answers expected, by the subscribers of %d channels", expected, most)
	}
	stranger := linktest.Dial(t, m).Subscribe(t.Context(), n.protocol.RequestChannel())
	defer stranger.Close()
	if _, err := stranger.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found, err := n.asks.responders(linktest.Background(t)); err != nil || found.unnamed != 1 || found.expected != more {
		t.Errorf("a server of Node's beside them: %+v, %v", found, err)
	}
}

func TestResponders(t *testing.T) {
	set := func(uids ...string) map[string]struct{} {
		m := map[string]struct{}{}
		for _, uid := range uids {
			m[uid] = struct{}{}
		}
		return m
	}
	tests := []struct {
		name    string
		waiting []string
		silent  []string
		unnamed int
		answers []string // uids; "" of Node's, "-x": x is lost
		done    bool
	}{
		{"all signed", []string{"a", "b"}, nil, 0, []string{"b", "a"}, true},
		{"the same twice", []string{"a", "b"}, nil, 0, []string{"a", "a"}, false},
		{"Node's too", []string{"a"}, nil, 1, []string{"a"}, false},
		{"Node's came", []string{"a"}, nil, 1, []string{"", "a"}, true},
		{"one that does not know us yet does not sign", []string{"a"}, nil, 1, []string{"", ""}, true},
		{"one that we do not know yet signs", nil, nil, 1, []string{"x"}, true},
		{"a silent one that comes back is not one of Node's", nil, []string{"g"}, 1, []string{"g"}, false},
		{"lost", []string{"a", "b"}, nil, 0, []string{"a", "-b"}, true},
		{"lost, and back", []string{"a"}, nil, 1, []string{"-a", "a"}, false},
	}
	for _, tt := range tests {
		y := &responders{waiting: set(tt.waiting...), silent: set(tt.silent...), answered: set(), unnamed: tt.unnamed}
		for _, uid := range tt.answers {
			if len(uid) == 2 {
				y.drop(uid[1:])
			} else {
				y.add(uid)
			}
		}
		if y.complete() != tt.done {
			t.Errorf("%s: complete %v", tt.name, y.complete())
		}
	}
}

// TestManyPeersBeatMoreSeldom: what all of them say together grows with their number, and not with
// its square.
func TestManyPeersBeatMoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, said := listening(t)
		hear := func(b beat) {
			b.V = beatVersion
			text, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			said(string(text))
		}
		for i := range fewPeers - 1 {
			hear(beat{Process: fmt.Sprint("p", i)})
		}
		if every := r.peers.every(); every != beatEvery {
			t.Errorf("%d beat every %v", fewPeers, every)
		}
		for i := range 9 * fewPeers {
			hear(beat{Process: fmt.Sprint("more", i), Every: 20_000, Namespaces: map[string]string{"/": fmt.Sprint("uid", i)}})
		}
		if every := r.peers.every(); every != 10*beatEvery {
			t.Errorf("%d beat every %v", 10*fewPeers, every)
		}
		time.Sleep(59 * time.Second)
		r.peers.expire()
		if !r.peers.has("uid0") {
			t.Error("dead before its third beat was due")
		}
		time.Sleep(2 * time.Second)
		r.peers.expire()
		if r.peers.has("uid0") {
			t.Error("alive after three beats that did not come")
		}
	})
}
