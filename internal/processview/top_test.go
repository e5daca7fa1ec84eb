package processview

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// topFacts are facts of two hosts at a time; everything counts up.
func topFacts(at time.Time, n uint64) TopFacts {
	of := func(host, name string, sessions int, events uint64) inspect.Sample {
		return inspect.Sample{Process: inspect.Process{Host: host, Name: name, Role: "worker", PID: 1, Worker: name}, At: at, State: "ready", Sessions: sessions, Sockets: 2 * sessions,
			EventsIn: events, EventsOut: events, BytesIn: 100 * events, QueueBytes: 2048, CPU: time.Duration(events) * time.Millisecond, Memory: 10 << 20}
	}
	return TopFacts{
		At: at, Samples: []inspect.Sample{of("a", "worker-1", 5, 10*n), of("a", "worker-2", 7, 0), of("b", "worker-1\x1b[2J", 1, 100*n)},
		Namespaces: []inspect.Namespace{{Name: "/", Sockets: 9, EventsIn: 10 * n}, {Name: "/quiet", Sockets: 20}},
		Rooms:      inspect.Page[inspect.Room]{Rows: []inspect.Room{{Namespace: "/", Name: "lobby", Sockets: 4}, {Namespace: "/", Name: "hall", Sockets: 6}}, More: 3},
		Clients: inspect.Page[inspect.Client]{Rows: []inspect.Client{
			{Process: inspect.Process{Host: "a"}, Socket: "new", Namespace: "/", Address: "10.0.0.1:5", Transport: "polling", EventsIn: n},
			{Process: inspect.Process{Host: "b"}, Socket: "old", Namespace: "/", Address: "10.0.0.2:5", Transport: "websocket", EventsIn: 5 * n, Queue: 9},
		}},
	}
}

func TestTop(t *testing.T) {
	start := time.Unix(1000, 0)
	for _, c := range []struct {
		by, sort string
		names    string // of the rows
		line     string // the first row's, its columns one space apart
		more     string
	}{
		{"process", "sessions", "worker-2 worker-1 worker-1\x1b[2J", "│ worker-2 │ a │ worker │ ready │ 7 │ 14 │ 0 │ 0b │ 2.0kb │ 0% │ 10.0mb │", ""},
		{"process", "events", "worker-1\x1b[2J worker-1 worker-2", "│ worker-1 [2J │ b │ worker │ ready │ 1 │ 2 │ 200 │ 9.8kb │ 2.0kb │ 10% │ 10.0mb │", ""},
		{"process", "name", "worker-1 worker-2 worker-1\x1b[2J", "", ""},
		{"host", "cpu", "b a", "│ b │ 1 │ 2 │ 200 │ 9.8kb │ 2.0kb │ 10% │ 10.0mb │", ""},
		{"host", "memory", "a b", "│ a │ 12 │ 24 │ 20.0 │ 1000b │ 4.0kb │ 1% │ 20.0mb │", ""},
		{"namespace", "sessions", "/quiet /", "│ /quiet │ 20 │ 0 │", ""},
		{"namespace", "events", "/ /quiet", "│ / │ 9 │ 10.0 │", ""},
		{"room", "sessions", "hall lobby", "│ hall │ / │ 6 │", "… 3 more"},
		{"room", "name", "hall lobby", "", "… 3 more"},
		{"client", "sessions", "new old", "│ new │ a │ / │ 10.0.0.1:5 │ polling │ 1.0 │ 0b │", ""},
		{"client", "queue", "old new", "│ old │ b │ / │ 10.0.0.2:5 │ websocket │ 5.0 │ 9b │", ""},
	} {
		if !HasTopSort(c.by, c.sort) {
			t.Errorf("%s can't be sorted by %s", c.by, c.sort)
		}
		top := Top{By: c.by, Sort: c.sort}
		top.Fill(topFacts(start.Add(10*time.Second), 10), topFacts(start, 0))
		var names []string
		for _, r := range top.Rows {
			names = append(names, r.Name)
		}
		var b bytes.Buffer
		if err := top.Print(Screen{Writer: &b}); err != nil {
			t.Fatal(err)
		}
		page := strings.Join(strings.Fields(b.String()), " ")
		if got := strings.Join(names, " "); got != c.names || !strings.Contains(page, c.line) || !strings.HasSuffix(page, c.more) || strings.Contains(page, "▾") == (c.by+c.sort == "clientsessions") {
			t.Errorf("by %s, sorted by %s: %q\n%s", c.by, c.sort, got, b.String())
		}
		if want := "13 sessions, 26 sockets, 220 events/s, 10.7kb/s, queue 6.0kb, cpu 11%, mem 30.0mb"; !strings.HasPrefix(page, want) {
			t.Errorf("the sum: %q", page[:100])
		}
	}
	if HasTopSort("room", "cpu") || HasTopSort("client", "bytes") {
		t.Error("rows can be sorted by what they lack")
	}
}

func TestTopFitsTheScreen(t *testing.T) {
	top := Top{By: "room", Sort: "name", Message: "keys\x1b"}
	facts := topFacts(time.Unix(1000, 0), 1)
	for range 100 {
		facts.Rooms.Rows = append(facts.Rooms.Rows, inspect.Room{Namespace: "/", Name: strings.Repeat("long ", 40), Sockets: 1})
	}
	top.Fill(facts, TopFacts{})
	for _, first := range []int{-5, 0, 50, 1000} {
		for _, height := range []int{8, 24, 60} {
			top.First = first
			var b bytes.Buffer
			if err := top.Draw(Screen{Writer: &b, Width: 60, Height: height}); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(b.String()), "\n")
			if len(lines) != height || lines[height-1] != "keys " {
				t.Errorf("%d lines on a screen of %d, the last %q", len(lines), height, lines[len(lines)-1])
			}
			for _, line := range lines {
				if columns(line) > 60 || strings.Contains(line, "\x1b") {
					t.Errorf("height %d: %q", height, line)
				}
			}
		}
	}
}
