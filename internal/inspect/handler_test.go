package inspect

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRemoteGetsWhatTheSourceHas(t *testing.T) {
	at := time.Unix(1000, 0).UTC()
	of := Process{Host: "a", Name: "worker-1", Role: "worker", PID: 7, Started: at}
	source := &facts{
		samples:    []Sample{{Process: of, At: at, Sessions: 3, Latency: Histogram{1, 2}}},
		points:     []Point{{At: at, Step: 5 * time.Second, CPU: 0.5}},
		namespaces: []Namespace{{Name: "/", Sockets: 3}},
		rooms:      []Room{{"/", "small", 1}, {"/", "large", 2}},
		clients:    []Client{{Process: of, SID: "sid-1", Connected: at, Rooms: []string{"large"}}},
		ended:      []Ended{{Process: of, SID: "sid-2", Reason: "ping timeout"}},
		asked:      make(chan Query, 8),
	}
	r, ctx := remote(t, source, nil), t.Context()
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || asJSON(t, got) != asJSON(t, want) {
			t.Errorf("%s: %v %v, want %v", what, asJSON(t, got), err, asJSON(t, want))
		}
	}
	samples, err := r.Samples(ctx)
	check("samples", samples, err, source.samples)
	points, err := r.History(ctx)
	check("history", points, err, source.points)
	namespaces, err := r.Namespaces(ctx)
	check("namespaces", namespaces, err, source.namespaces)
	q := Query{ID: "sid-1", Namespace: "/", Room: "large & small", Address: "1.2.3.4", Event: "say", Text: "é", Worker: "w", Sort: "queue", Limit: 7, Payload: true}
	clients, err := r.Clients(ctx, q)
	check("clients", clients, err, Page[Client]{source.clients, 0})
	if got := <-source.asked; got != q {
		t.Errorf("the query came as %+v", got)
	}
	rooms, err := r.Rooms(ctx, Query{Limit: 1})
	check("rooms", rooms, err, Page[Room]{[]Room{{"/", "large", 2}}, 1})
	ended, err := r.Ended(ctx, Query{})
	check("ended", ended, err, Page[Ended]{source.ended, 0})
	decisions, err := r.Decisions(ctx, Query{})
	check("decisions", decisions, err, Page[Decision]{Rows: []Decision{}})
}

func TestRemoteOverASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: NewHandler(&facts{samples: []Sample{{Sessions: 4}}}, nil)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	r := NewRemote("unix", path)
	defer r.Close()
	if got, err := r.Samples(t.Context()); err != nil || len(got) != 1 || got[0].Sessions != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestScopeChoosesTheHost(t *testing.T) {
	r := remote(t, &facts{samples: make([]Sample, 2)}, &facts{samples: make([]Sample, 1)})
	if got, err := r.Samples(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("%d samples, %v", len(got), err)
	}
	if got, err := r.OfHost().Samples(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("of the host: %d samples, %v", len(got), err)
	}
}

func TestIncompleteAnswerHasRowsAndAnError(t *testing.T) {
	r := remote(t, &facts{rooms: []Room{{"/", "a", 1}}, err: errAway}, nil)
	p, err := r.Rooms(t.Context(), Query{})
	if err == nil || err.Error() != errAway.Error() || len(p.Rows) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := r.Samples(t.Context()); err == nil || err.Error() != "inspect: 503: worker-2 is away" {
		t.Errorf("nothing but an error: %v", err)
	}
}

func TestHandlerRefusesQueries(t *testing.T) {
	source := &facts{}
	r := remote(t, source, nil)
	for want, q := range map[string]Query{
		"id needs at least 4 characters": {ID: "abc"},
		"text has more than 512 bytes":   {Text: strings.Repeat("x", 513)},
		"sort must be":                   {Sort: "colour"},
	} {
		_, err := r.Clients(t.Context(), q)
		if err == nil || !strings.Contains(err.Error(), "400: "+want) {
			t.Errorf("%q: %v", want, err)
		}
		if err := r.Tap(t.Context(), q, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("tap, %q: %v", want, err)
		}
	}
}

func TestRemoteBoundsAnswers(t *testing.T) {
	long := remoteOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "tap") {
			w.Write([]byte(`{"kind":"` + strings.Repeat("x", maxLine) + `"}` + "\n"))
			return
		}
		w.Write([]byte(`{"rows":[` + strings.Repeat(" ", maxAnswer) + `]}`))
	}))
	if _, err := long.Clients(t.Context(), Query{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a long answer: %v", err)
	}
	if err := long.Tap(t.Context(), Query{}, func(Event) { t.Error("an event") }); err == nil {
		t.Error("a long line was taken")
	}
	many := remoteOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`{"rows":[` + strings.Repeat("{},", MaxRows) + `{}]}`))
	}))
	if p, err := many.Rooms(t.Context(), Query{}); err != nil || len(p.Rows) != MaxRows || p.More != 1 {
		t.Errorf("%d rows, %d more, %v", len(p.Rows), p.More, err)
	}
	rude := remoteOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.Write([]byte("\x1b[2Jgone" + strings.Repeat("x", 10_000)))
	}))
	if _, err := rude.Samples(t.Context()); err == nil || len(err.Error()) > 600 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("a rude refusal: %v", err)
	}
}

func TestTapEndsWithItsViewer(t *testing.T) {
	source := &facts{events: make(chan Event), asked: make(chan Query, 1)}
	ended := make(chan error)
	tapped := &observed{Source: source, ended: ended}
	r := remote(t, tapped, nil)
	ctx, leave := context.WithCancel(t.Context())
	got := make(chan Event)
	done := make(chan error)
	go func() { done <- r.Tap(ctx, Query{Event: "say"}, func(e Event) { got <- e }) }()
	if q := <-source.asked; q.Event != "say" {
		t.Errorf("asked %+v", q)
	}
	for _, name := range []string{"one", "two"} {
		source.events <- Event{Kind: "in", Name: name}
		if e := <-got; e.Kind != "in" || e.Name != name {
			t.Errorf("got %+v", e)
		}
	}
	leave()
	if err := <-done; err != nil {
		t.Errorf("the viewer's end: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the source's end: %v", err)
	}
}

// observed tells of the end of taps.
type observed struct {
	Source
	ended chan error
}

func (o *observed) Tap(ctx context.Context, q Query, f func(Event)) error {
	err := o.Source.Tap(ctx, q, f)
	o.ended <- err
	return err
}

func TestTapEndsWithItsSource(t *testing.T) {
	source := &facts{events: make(chan Event), err: errAway}
	close(source.events)
	r := remote(t, source, nil)
	if err := r.Tap(t.Context(), Query{}, nil); err == nil || err.Error() != errAway.Error() {
		t.Errorf("got %v", err)
	}
	source.err = nil
	if err := r.Tap(t.Context(), Query{}, nil); err != nil {
		t.Errorf("an end without a reason: %v", err)
	}
}

func TestTapsAtATimeAreBounded(t *testing.T) {
	source := &facts{events: make(chan Event), asked: make(chan Query)}
	r := remote(t, source, nil)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error)
	for range maxTaps {
		go func() { done <- r.Tap(ctx, Query{}, nil) }()
		<-source.asked
	}
	if err := r.Tap(ctx, Query{}, nil); err == nil || !strings.Contains(err.Error(), "too many taps") {
		t.Errorf("one more: %v", err)
	}
	leave()
	for range maxTaps {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
