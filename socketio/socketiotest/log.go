package socketiotest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
)

// historyLength is how many records, errors and handlers a failure's message lists.
const historyLength = 10

// log is what happened to a client.
type log struct {
	waiting []record // what the test has not asked for, oldest first
	last    []record // the last ones
	total   int
}

// record is something that happened to a client.
type record struct {
	at        time.Duration // since the servers were started
	kind      kind
	name      string // of an event; the id of a connected socket; a reason
	args      socketio.Args
	recovered bool
	refusal   *client.ConnectError // nil if nobody refused
}

type kind int

const (
	came kind = iota
	connected
	disconnected
	failed // to connect
)

func (r record) String() string {
	switch r.kind {
	case connected:
		if r.recovered {
			return "recovered as " + r.name
		}
		return "connected as " + r.name
	case disconnected:
		return "disconnected: " + r.name
	case failed:
		return "not connected: " + brief(r.name)
	}
	return r.name + brief(r.args.String())
}

func (l *log) add(r record) {
	l.total++
	if r.kind != failed || r.refusal != nil {
		l.waiting = append(l.waiting, r)
	}
	if l.last = append(l.last, r); len(l.last) > historyLength {
		l.last = slices.Clone(l.last[1:])
	}
}

// first returns the oldest record that fits and that the test has not asked for.
func (l *log) first(fits func(record) bool) (r record, ok bool) {
	if i := slices.IndexFunc(l.waiting, fits); i >= 0 {
		return l.waiting[i], true
	}
	return r, false
}

// take is first, and takes the record away.
func (l *log) take(fits func(record) bool) (r record, ok bool) {
	i := slices.IndexFunc(l.waiting, fits)
	if i < 0 {
		return r, false
	}
	r = l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return r, true
}

// String lists the last records for a message.
func (l *log) String() string {
	var s strings.Builder
	switch {
	case l.total == 0:
		return "\n\tnothing has happened to this client"
	case l.total > len(l.last):
		fmt.Fprintf(&s, "\n\tthe last %d of %d things that happened to this client:", len(l.last), l.total)
	default:
		s.WriteString("\n\tthis is what happened to this client:")
	}
	for _, r := range l.last {
		fmt.Fprintf(&s, "\n\t%10s  %s", "+"+r.at.Round(time.Millisecond).String(), r)
	}
	return s.String()
}

// brief shortens a text for a message.
func brief(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:end], len(text))
}

// offset is what a Hub, and a Redis stream, add to the arguments of an event for recovery.
var offset = regexp.MustCompile(`^"(hub-\d+|\d{10,}-\d+)"$`)

// withoutOffset returns the arguments that the server emitted.
func withoutOffset(args socketio.Args) socketio.Args {
	if n := args.Len(); n > 0 && offset.Match(args.Raw(n-1)) {
		return args.Slice(0, n-1)
	}
	return args
}

// alike compares arguments without the order of members and with binary parts.
func alike(a, b socketio.Args) bool {
	p, q := a.Payload(), b.Payload()
	x, y := jsontext.Value(bytes.Clone(p.JSON)), jsontext.Value(bytes.Clone(q.JSON))
	if x.Canonicalize() != nil || y.Canonicalize() != nil {
		return bytes.Equal(p.JSON, q.JSON)
	}
	return bytes.Equal(x, y) && slices.EqualFunc(p.Attachments, q.Attachments, bytes.Equal)
}
