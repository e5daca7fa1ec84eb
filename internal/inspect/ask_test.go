package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// peers runs Peers as a process of its own. leave ends it at once.
func peers(t *testing.T, url, process string, local Source) (p *Peers, leave func()) {
	t.Helper()
	conn, err := redisconn.Open(redisconn.Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p = NewPeers(PeersConfig{Conn: conn, App: "app", Local: local})
	p.process = process
	ctx, cancel := context.WithCancel(context.Background())
	running, asking := make(chan error), make(chan error)
	go func() { running <- conn.Run(ctx) }()
	go func() { asking <- p.Run(ctx) }()
	ended := false
	leave = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		<-asking
		<-running
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(leave)
	if err := conn.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, leave
}

func named(name string, sessions int) *facts {
	return &facts{samples: []Sample{{Process: Process{Host: name, Name: "worker-1"}, Sessions: sessions}}}
}

func TestPeersAnswerEachOther(t *testing.T) {
	url := "redis://" + miniredis.RunT(t).Addr()
	testPeers(t, url)
}

func TestPeersInACluster(t *testing.T) {
	testPeers(t, testkit.StartCluster(t).URL())
}

func testPeers(t *testing.T, url string) {
	many := &facts{}
	for i := range MaxRows + 1 {
		many.rooms = append(many.rooms, Room{"/", fmt.Sprintf("room-%04d %s", i, strings.Repeat("x", 500)), 1})
	}
	one, _ := peers(t, url, "one", named("a", 1))
	_, _ = peers(t, url, "two", named("b", 2))
	_, leave := peers(t, url, "three", many)
	_, _ = peers(t, url, "two", named("of the same process", 9))
	viewer, _ := peers(t, url, "four", nil)

	// A busy machine may take longer than a question waits.
	testkit.Until(t, "one other host", func() bool {
		found, err := one.Samples(t.Context())
		return err == nil && len(found) == 1 && found[0].Sessions != 1
	})
	testkit.Until(t, "all hosts", func() bool {
		found, err := viewer.Samples(t.Context())
		return err == nil && len(found) == 2
	})
	testkit.Until(t, "an answer of several parts", func() bool {
		rooms, err := viewer.Rooms(t.Context(), Query{Limit: 3})
		return err == nil && len(rooms.Rows) == 3 && rooms.More == MaxRows-2 && strings.HasPrefix(rooms.Rows[2].Name, "room-0002")
	})
	leave()
	testkit.Until(t, "the hosts that are left", func() bool {
		found, err := viewer.Samples(t.Context())
		return err == nil && len(found) == 2
	})
	if _, err := viewer.Clients(t.Context(), Query{ID: "abc"}); err == nil {
		t.Error("a query that nobody answers was asked")
	}
}

func TestPeersAreHeardInTaps(t *testing.T) {
	url := "redis://" + miniredis.RunT(t).Addr()
	source := &facts{events: make(chan Event), asked: make(chan Query, 1)}
	ended := make(chan error, 1)
	_, _ = peers(t, url, "one", &observed{Source: source, ended: ended})
	viewer, vanish := peers(t, url, "two", nil)

	ctx, leave := context.WithCancel(t.Context())
	got := make(chan Event, 1)
	done := make(chan error, 1)
	go func() { done <- viewer.Tap(ctx, Query{Event: "say"}, func(e Event) { got <- e }) }()
	if q := <-source.asked; q.Event != "say" {
		t.Errorf("asked %+v", q)
	}
	source.events <- Event{Kind: "in", Name: "say"}
	if e := <-got; e.Name != "say" {
		t.Errorf("got %+v", e)
	}
	leave()
	if err := <-done; err != nil {
		t.Error(err)
	}
	<-ended // by the question that says so

	ctx, leave = context.WithCancel(t.Context())
	defer leave()
	go func() { done <- viewer.Tap(ctx, Query{}, func(e Event) { got <- e }) }()
	<-source.asked
	source.events <- Event{Kind: "in", Name: "say"}
	<-got
	vanish() // without a word
	select {
	case source.events <- Event{Kind: "in", Name: "to nobody"}:
		<-ended
	case <-ended: // the lease
	}
	leave()
	<-done
}

func TestPeersSurviveHostileMessages(t *testing.T) {
	m := miniredis.RunT(t)
	url := "redis://" + m.Addr()
	one, _ := peers(t, url, "one", named("a", 1))
	viewer, _ := peers(t, url, "two", nil)
	questions, _ := channels("app", "")
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	hostile := []string{
		"", "null", "[]", "{", `{"id":5}`, `{"id":""}`, "\x00\xff",
		text(question{ID: strings.Repeat("x", 100), Asker: "a", Kind: "samples"}),
		text(question{ID: "q", Asker: strings.Repeat("x", 5000), Kind: "samples"}),
		text(question{ID: "q", Asker: "a", Kind: "samples", Query: Query{Text: strings.Repeat("x", 4000)}}),
		text(question{ID: "q", Asker: "a", Kind: "unknown", Within: 1 << 60}),
		text(question{ID: "q", Asker: "a", Kind: "samples", Within: -5}),
		text(question{ID: "q", Asker: "a", Kind: "tap", Lease: -5}),
		text(question{ID: "q", Asker: "another", Kind: "end"}),
		`{"id":"q","asker":"a","kind":"rooms","query":{"limit":-1}}`, strings.Repeat("x", 1<<20),
	}
	for _, payload := range hostile {
		m.Publish(questions, payload)
	}
	for _, a := range []answer{{}, {ID: "q"}, {ID: "q", From: "x", Part: -1}, {ID: "q", From: "x", Part: 1 << 40}, {ID: "q", From: strings.Repeat("x", 1000)}} {
		m.Publish(viewer.answers, text(a)+"\n{}")
	}
	testkit.Until(t, "an answer all the same", func() bool {
		found, err := viewer.Samples(t.Context())
		return err == nil && len(found) == 1
	})
	if n := len(one.asked); n > maxWaiting {
		t.Errorf("%d questions wait", n)
	}
}

// TestAnswersAreCollectedWithinBounds gives a collection what a forger would.
func TestAnswersAreCollectedWithinBounds(t *testing.T) {
	p := &Peers{pending: map[string]*collection{}, taps: map[string]*tapped{}, known: map[string]bool{}}
	c := &collection{want: maxAnswers + 1, parts: map[string]*parts{}, done: make(chan struct{})}
	p.pending["q"] = c
	for i := range maxAnswers + 10 {
		p.answered(answer{ID: "q", From: fmt.Sprint(i)}, []byte("{"))
	}
	if len(c.parts) != maxAnswers {
		t.Errorf("%d answerers", len(c.parts))
	}
	p.answered(answer{ID: "q", From: "0", Part: maxParts}, []byte("x"))
	p.answered(answer{ID: "q", From: "0"}, []byte("again"))
	if one := c.parts["0"]; len(one.data) != 1 || string(one.data[0]) != "{" {
		t.Errorf("%q", one.data)
	}
	part := make([]byte, maxPart)
	for i := range maxAnswers {
		for n := range maxParts {
			p.answered(answer{ID: "q", From: fmt.Sprint(i), Part: n}, part)
		}
	}
	if c.bytes > maxCollected {
		t.Errorf("%d bytes", c.bytes)
	}
	tap := &tapped{events: make(chan Event, maxUnseen), from: map[string]string{}}
	p.taps["t"] = tap
	for i := range 2 * maxUnseen {
		p.answered(answer{ID: "t", From: "x", Process: "p", Part: i}, []byte(`{"kind":"in"}`))
	}
	if len(tap.events) != maxUnseen || tap.skipped.Load() != maxUnseen {
		t.Errorf("%d events, %d skipped", len(tap.events), tap.skipped.Load())
	}
}

func TestPeersWithoutRedis(t *testing.T) {
	m := miniredis.RunT(t)
	viewer, _ := peers(t, "redis://"+m.Addr(), "one", nil)
	m.Close()
	changed := viewer.cfg.Conn.Changed()
	viewer.cfg.Conn.Doubt()
	if viewer.cfg.Conn.Up() {
		<-changed
	}
	began := time.Now()
	if _, err := viewer.Samples(t.Context()); err == nil || !strings.Contains(err.Error(), "other hosts can't be asked") {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// TestTapIsLimited: a viewer gets so many events each second, and the number of the others.
func TestTapIsLimited(t *testing.T) {
	url := "redis://" + miniredis.RunT(t).Addr()
	source := &facts{events: make(chan Event), asked: make(chan Query, 1)}
	_, _ = peers(t, url, "one", source)
	viewer, _ := peers(t, url, "two", nil)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	skipped := make(chan uint64, 1)
	done := make(chan error, 1)
	go func() {
		done <- viewer.Tap(ctx, Query{}, func(e Event) {
			if e.Skipped > 0 {
				select {
				case skipped <- e.Skipped:
				default:
				}
			}
		})
	}()
	<-source.asked
	for {
		select {
		case source.events <- Event{Kind: "in"}:
			continue
		case <-skipped:
		}
		break
	}
	leave()
	<-done
}
