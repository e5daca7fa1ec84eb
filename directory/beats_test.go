package directory

import (
	"fmt"
	"testing"
	"time"
)

func TestSignsAreReadAsWritten(t *testing.T) {
	for _, s := range []sign{{}, {1, 2, 3}, {1<<32 - 1, 1<<64 - 1, 1<<31 - 1}} {
		if got, ok := parseSign(s.String()); !ok || got != s {
			t.Errorf("%+v became %+v, %v", s, got, ok)
		}
	}
	for _, text := range []string{"", "x", "1 2", "1 2 x", "zzzzzzzzz 1 1", "1 -1 1", fmt.Sprintf("1 1 %0100d", 1)} {
		if s, ok := parseSign(text); ok {
			t.Errorf("%q was read as %+v", text, s)
		}
	}
}

// TestMemoryAnswersOnlyWhatIsSure: a record is read if it has changed, may have expired, or if its
// sign is older than the last one, as after a failover to an old replica.
func TestMemoryAnswersOnlyWhatIsSure(t *testing.T) {
	start := time.Unix(1000, 0)
	first := sign{digest: 7, beat: 10, load: 1}
	for _, c := range []struct {
		name     string
		now      sign
		at       time.Duration // after the record was read
		unlisted bool
		known    bool
		left     time.Duration
	}{
		{"nothing new", first, 2 * time.Second, false, true, 3 * time.Second},
		{"a beat", sign{7, 11, 5}, 2 * time.Second, false, true, recordTTL - time.Second},
		{"no beat for too long", first, 5 * time.Second, false, false, 0},
		{"a beat before a long pause", sign{7, 11, 5}, recordTTL + time.Second, false, false, 0},
		{"another record", sign{8, 11, 5}, 2 * time.Second, false, false, 0},
		{"an older beat", sign{7, 9, 5}, 2 * time.Second, false, false, 0},
		{"not in the set", sign{7, 11, 5}, 2 * time.Second, true, false, 0},
	} {
		m := &memory{begun: start.Add(time.Second)}
		m.note(&seen{raw: "{}", ttl: 5 * time.Second}, "worker:a", first, true, start)
		s := seen{id: "a", unlisted: c.unlisted}
		at := start.Add(c.at)
		known := m.recall(&s, "worker:a", c.now, at)
		if known != c.known || known && (s.ttl != c.left || s.load != c.now.load || s.beaten != (c.now.beat > first.beat) || s.raw != "{}") {
			t.Errorf("%s: %v, %+v", c.name, known, s)
		}
	}
}

// TestALookCostsThreeCommands, however many workers and routers there are: two sets and the signs of
// beats. Else the cost of the directory would grow with the square of the hosts.
func TestALookCostsThreeCommands(t *testing.T) {
	m, url := mini(t)
	d, err := Open(t.Context(), Config{Conn: connect(t, url)})
	if err != nil {
		t.Fatal(err)
	}
	const members = 20
	load := 1
	var beat []func()
	for range members {
		w, err := d.RegisterWorker(t.Context(), Worker{State: StateReady}, func() int { return load })
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.RegisterRouter(t.Context(), Router{State: StateReady}, func() int { return load })
		if err != nil {
			t.Fatal(err)
		}
		beat = append(beat, func() {
			if _, err := w.beat(t.Context(), told{state: StateReady}); err != nil {
				t.Error(err)
			}
			if _, err := r.beat(t.Context(), told{state: StateReady}); err != nil {
				t.Error(err)
			}
		})
	}
	look := func() {
		t.Helper()
		d.follower.reader.memory.begun = time.Now().Add(time.Hour) // however slow the machine is, the last look was not long ago
		if _, err := d.follower.look(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	all := func() {
		for _, b := range beat {
			b()
		}
	}
	commands := countCommands(m, ":worker", ":router", ":beats")
	all()
	commands.take()
	look()
	commands.expect(t, "the first look", map[string]int{"SMEMBERS": 2, "HGETALL": 1, "MGET": 1})
	for _, w := range d.Workers().All() {
		if w.Clients != load {
			t.Errorf("%d clients, want %d", w.Clients, load)
		}
	}
	load = 5
	all()
	commands.take()
	look()
	commands.expect(t, "a look after all have beaten", map[string]int{"SMEMBERS": 2, "HGETALL": 1})
	for _, w := range d.Workers().All() {
		if w.Clients != load || w.Beat < 2 {
			t.Errorf("%d clients at beat %d, want %d", w.Clients, w.Beat, load)
		}
	}
	for _, r := range d.Workers().Routers() {
		if r.Sessions != load {
			t.Errorf("%d sessions, want %d", r.Sessions, load)
		}
	}

	d.follower.heard([]byte(`{"worker":"` + d.Workers().All()[3].ID + `","state":"draining"}`))
	ids, whole := d.follower.due.take()
	if whole {
		t.Error("an event of one worker asks for all")
	}
	if err := d.follower.lookAt(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	commands.expect(t, "after an event", map[string]int{"GET": 1, "PTTL": 1})

	load = 6
	all()
	d.follower.reader.memory.begun = time.Now().Add(-recordTTL) // Redis was away for longer than a record lives
	commands.take()
	if _, err := d.follower.look(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	commands.expect(t, "a look after a pause", map[string]int{"SMEMBERS": 2, "HGETALL": 1, "MGET": 1})
	for _, w := range d.Workers().Ready() {
		if w.Clients != load {
			t.Errorf("%d clients after a pause, want %d", w.Clients, load)
		}
	}

	gone := d.Workers().All()[0].ID
	if err := d.announceGone(t.Context(), gone, false); err != nil {
		t.Fatal(err)
	}
	look() // still reads the record, which the table has
	d.WorkerGone(gone)
	look()
	if _, ok := d.follower.reader.memory.records[workerField(gone)]; ok || len(d.follower.reader.memory.records) != 2*members-1 {
		t.Errorf("%d records are remembered", len(d.follower.reader.memory.records))
	}

	commands.take()
	m.Del(d.keys.beats()) // servers of an older version leave no signs
	look()
	if got := commands.take(); got["GET"] != 2*members-1 || len(d.Workers().Ready()) != members-1 {
		t.Errorf("without signs: %v, %d workers", got, len(d.Workers().Ready()))
	}
}

// TestBeatsRepairTheirHash: somebody else's key in its place costs reads, but no beat and no worker.
func TestBeatsRepairTheirHash(t *testing.T) {
	m, url := mini(t)
	d := node(t, url)
	if err := m.Set(d.keys.beats(), "not a hash"); err != nil {
		t.Fatal(err)
	}
	reg, err := d.RegisterWorker(t.Context(), Worker{State: StateReady}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := reg.beat(t.Context(), told{}); err != nil {
			t.Fatal(err)
		}
		awaitState(t, d, reg.ID(), StateReady)
	}
	if m.HGet(d.keys.beats(), "worker:"+reg.ID()) == "" {
		t.Error("no sign of the last beat")
	}
}
