package plug

import (
	"math/bits"
	"time"
)

const (
	// lateAfter is the time on its way from which a message counts as late.
	lateAfter = time.Second
	// settleAfter is how long the receivers of a message must have been connected before those who
	// haven't heard it count as having lost it.
	settleAfter = 5 * time.Second
	// forgetAfter is how long a message is watched: so long it may come late or twice.
	forgetAfter = time.Minute
)

// Counts sum up what happened to the messages of the simulated clients.
type Counts struct {
	Sent    uint64 `json:"sent"`    // messages
	Heard   uint64 `json:"heard"`   // arrivals at clients, doubled ones not included
	Lost    uint64 `json:"lost"`    // arrivals that are missing, of messages that somebody heard
	Doubled uint64 `json:"doubled"` // arrivals
	Late    uint64 `json:"late"`    // arrivals more than a second after the message was sent

	// Cut counts messages that nobody heard: they died with the worker that they were sent to. The
	// sender had no answer, or had it before the message left the worker.
	Cut uint64 `json:"cut"`
	// Missed counts arrivals that were promised to nobody: the client had lost its session, and came
	// back as a new one.
	Missed uint64 `json:"missed"`
}

// verdict is what was decided about a message.
type verdict int

const (
	pending verdict = iota // it may still come
	lost                   // to those who haven't heard it
	cut                    // to everybody
)

// set is a set of clients by number.
type set uint64

func (s set) has(client int) bool { return s&(1<<client) != 0 }
func (s set) size() int           { return bits.OnesCount64(uint64(s)) }

// message is one on its way.
type message struct {
	sent     time.Time
	expected set // who has to hear it
	heard    set
	verdict  verdict
}

func (m *message) missing() set { return m.expected &^ m.heard }

// ledger keeps account of each message and each client. It is not safe for concurrent use.
type ledger struct {
	counts Counts
	open   map[uint64]*message
	back   []time.Time // when each client was connected; zero: it isn't
}

func newLedger(clients int) *ledger {
	return &ledger{open: make(map[uint64]*message), back: make([]time.Time, clients)}
}

// send notes a message for the clients in room that have a session.
func (l *ledger) send(n uint64, room set, now time.Time) {
	l.counts.Sent++
	l.open[n] = &message{sent: now, expected: room}
}

// hear notes that a client got a message.
func (l *ledger) hear(n uint64, client int, now time.Time) {
	m := l.open[n]
	switch {
	case m == nil || !m.expected.has(client): // settled long ago, or not meant for this session
	case m.heard.has(client):
		l.counts.Doubled++
	default:
		l.recall(m)
		m.heard |= 1 << client
		l.counts.Heard++
		if now.Sub(m.sent) > lateAfter {
			l.counts.Late++
		}
	}
}

// recall takes the verdict about a message back for an arrival after all.
func (l *ledger) recall(m *message) {
	switch m.verdict {
	case lost:
		l.counts.Lost--
	case cut:
		l.counts.Cut--
		m.verdict = pending
	}
}

// lose notes that a client's connection was lost.
func (l *ledger) lose(client int) {
	l.back[client] = time.Time{}
}

// connect notes that a client is connected and in its room again. If its session wasn't recovered,
// nobody owes it the messages that were on their way when it was lost, or were sent before now.
func (l *ledger) connect(client int, recovered bool, now time.Time) {
	l.back[client] = now
	if recovered {
		return
	}
	for _, m := range l.open {
		if m.verdict == pending && m.missing().has(client) {
			m.expected &^= 1 << client
			l.counts.Missed++
		}
	}
}

// settle decides about the messages whose receivers had enough time, and forgets old ones.
func (l *ledger) settle(now time.Time) {
	for n, m := range l.open {
		old := now.Sub(m.sent) >= forgetAfter
		if missing := m.missing(); m.verdict == pending && missing != 0 && (old || l.waited(missing, m.sent, now)) {
			if m.heard == 0 {
				l.counts.Cut++
				m.verdict = cut
			} else {
				l.counts.Lost += uint64(missing.size())
				m.verdict = lost
			}
		}
		if old {
			delete(l.open, n)
		}
	}
}

// due counts the arrivals that are awaited for longer than lateAfter.
func (l *ledger) due(now time.Time) (n int) {
	for _, m := range l.open {
		if m.verdict == pending && now.Sub(m.sent) > lateAfter {
			n += m.missing().size()
		}
	}
	return n
}

// waited reports whether all of these clients have been connected for long enough to have heard a
// message.
func (l *ledger) waited(clients set, sent, now time.Time) bool {
	for c := range l.back {
		if !clients.has(c) {
			continue
		}
		if l.back[c].IsZero() || now.Sub(l.back[c]) < settleAfter || now.Sub(sent) < settleAfter {
			return false
		}
	}
	return true
}

// away counts the clients that aren't connected.
func (l *ledger) away() (n int) {
	for _, t := range l.back {
		if t.IsZero() {
			n++
		}
	}
	return n
}
