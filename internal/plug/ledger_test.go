package plug

import (
	"testing"
	"time"
)

// TestLedger: each story ends with the counts that a reader of the page expects.
func TestLedger(t *testing.T) {
	const a, b, c = 0, 1, 2
	all := set(1<<a | 1<<b | 1<<c)
	for _, tt := range []struct {
		name  string
		story func(l *ledger, at func(seconds float64) time.Time)
		want  Counts
	}{
		{"everybody hears it once", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			for client := range 3 {
				l.hear(1, client, at(0.1))
			}
			l.settle(at(6))
		}, Counts{Sent: 1, Heard: 3}},
		{"one hears it twice", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			for client := range 3 {
				l.hear(1, client, at(0.1))
			}
			l.settle(at(10)) // it isn't forgotten yet
			l.hear(1, b, at(20))
			l.settle(at(60))
			l.hear(1, b, at(61)) // it is
		}, Counts{Sent: 1, Heard: 3, Doubled: 1}},
		{"one hears it late", func(l *ledger, at func(float64) time.Time) {
			l.send(1, set(1<<a), at(0))
			l.hear(1, a, at(1.5))
		}, Counts{Sent: 1, Heard: 1, Late: 1}},
		{"one of three never hears it", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.hear(1, b, at(0.1))
			l.settle(at(4.9)) // it may still come
			l.settle(at(5))
			l.settle(at(6))
		}, Counts{Sent: 1, Heard: 2, Lost: 1}},
		{"one of three hears it after all", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.settle(at(5))
			l.hear(1, b, at(8))
			l.settle(at(9))
		}, Counts{Sent: 1, Heard: 2, Late: 1, Lost: 1}},
		{"all hear it after all", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.settle(at(5))
			for client := range 3 {
				l.hear(1, client, at(8))
			}
			l.settle(at(60))
		}, Counts{Sent: 1, Heard: 3, Late: 3}},
		{"nobody ever hears it", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.settle(at(6))
		}, Counts{Sent: 1, Cut: 1}},
		{"one resumes its session, and hears it then", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.hear(1, b, at(0.1))
			l.lose(c)
			l.settle(at(10)) // c is away: there's still hope
			l.connect(c, true, at(11))
			l.settle(at(15.9))
			l.hear(1, c, at(15.9))
			l.settle(at(17))
		}, Counts{Sent: 1, Heard: 3, Late: 1}},
		{"one resumes its session, and never hears it", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.hear(1, b, at(0.1))
			l.lose(c)
			l.connect(c, true, at(1))
			l.settle(at(6))
		}, Counts{Sent: 1, Heard: 2, Lost: 1}},
		{"one begins anew, and nobody owes it anything", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.hear(1, b, at(0.1))
			l.lose(c)
			l.connect(c, false, at(1))
			l.settle(at(6))
		}, Counts{Sent: 1, Heard: 2, Missed: 1}},
		{"one never comes back", func(l *ledger, at func(float64) time.Time) {
			l.send(1, all, at(0))
			l.hear(1, a, at(0.1))
			l.hear(1, b, at(0.1))
			l.lose(c)
			l.settle(at(59))
			l.settle(at(60))
		}, Counts{Sent: 1, Heard: 2, Lost: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Unix(1000, 0)
			l := newLedger(3)
			for client := range 3 {
				l.connect(client, false, start.Add(-time.Minute))
			}
			tt.story(l, func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) })
			if l.counts != tt.want {
				t.Errorf("counts %+v, want %+v", l.counts, tt.want)
			}
		})
	}
}

// TestLedgerForgets: settled messages take no memory.
func TestLedgerForgets(t *testing.T) {
	l := newLedger(clients)
	now := time.Unix(1000, 0)
	for n := range uint64(1000) {
		l.send(n, room(0), now)
	}
	l.settle(now.Add(forgetAfter))
	if len(l.open) != 0 {
		t.Errorf("%d messages are kept after a minute", len(l.open))
	}
}

// TestRooms: each client is in one room, with those of the same remainder.
func TestRooms(t *testing.T) {
	var seen set
	for r := range rooms {
		members := room(r)
		if members.size() != clients/rooms || seen&members != 0 {
			t.Errorf("room %d has %b", r, members)
		}
		seen |= members
	}
	if seen.size() != clients {
		t.Errorf("%d clients are in rooms", seen.size())
	}
}
