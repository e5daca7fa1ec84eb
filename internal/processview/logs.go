package processview

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// Logs writes lines of processes as they arrive.
type Logs struct {
	Screen
	Raw       bool   // the lines alone
	JSON      bool   // one object per line, as in PM2
	Pairs     bool   // key=value pairs, as in PM2
	Timestamp string // a date format; the date precedes each line whose time is known; empty: none
	Highlight string // a text to mark

	names int    // width of the longest prefix so far
	file  string // the file of the past lines that were written last
}

// Line writes one line.
func (v *Logs) Line(l daemon.LogLine) error {
	switch {
	case v.JSON:
		return v.object(l)
	case v.Pairs:
		return v.pairs(&l)
	case v.Raw:
		_, err := io.WriteString(v, l.Text+"\n")
		return err
	}
	prefix := v.prefix(&l)
	var b strings.Builder
	if past := l.Time.IsZero(); past && l.File != "" && l.File != v.file {
		fmt.Fprintf(&b, "%s\n", v.paint(gray, l.File+", its last lines:"))
		v.file = l.File
	}
	if l.Dropped > 0 {
		fmt.Fprintf(&b, "%s%s\n", prefix, v.paint(yellow, fmt.Sprintf("%d lines came too fast to be shown: they are in the file", l.Dropped)))
	}
	b.WriteString(prefix)
	if v.Timestamp != "" && !l.Time.IsZero() {
		b.WriteString(v.paint(gray, pm2.FormatDate(v.Timestamp, l.Time.Local())) + ": ")
	}
	b.WriteString(v.marked(l.Text) + "\n")
	_, err := io.WriteString(v, b.String())
	return err
}

// prefix names the process, in a column of the same width for all.
func (v *Logs) prefix(l *daemon.LogLine) string {
	name := l.Name
	if l.ID >= 0 {
		name = fmt.Sprintf("%d|%s", l.ID, l.Name)
	}
	name = clean(name)
	v.names = max(v.names, columns(name))
	c := green
	if l.Stream == "err" {
		c = red
	}
	return v.paint(c, name+pad(name, v.names)+" | ")
}

func (v *Logs) marked(text string) string {
	if v.Highlight == "" || !v.Color {
		return text
	}
	return strings.ReplaceAll(text, v.Highlight, "\x1b[7m"+v.Highlight+"\x1b[27m")
}

// pairsDate is the format of dates among pairs.
const pairsDate = "YYYY-MM-DD-HH:mm:ssZZ"

func (v *Logs) pairs(l *daemon.LogLine) error {
	var b strings.Builder
	if !l.Time.IsZero() {
		fmt.Fprintf(&b, "timestamp=%s ", pm2.FormatDate(cmp.Or(v.Timestamp, pairsDate), l.Time.Local()))
	}
	fmt.Fprintf(&b, "app=%s ", l.Name)
	if l.ID >= 0 {
		fmt.Fprintf(&b, "id=%d ", l.ID)
	}
	kind := "out"
	if l.Stream == "err" {
		kind = "error"
	}
	fmt.Fprintf(&b, "type=%s message=%s\n", kind, v.marked(l.Text))
	_, err := io.WriteString(v, b.String())
	return err
}

func (v *Logs) object(l daemon.LogLine) error {
	enc := json.NewEncoder(v)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		Message   string `json:"message"`
		Timestamp string `json:"timestamp,omitempty"`
		Type      string `json:"type"`
		ID        int    `json:"process_id"`
		Name      string `json:"app_name"`
	}{l.Text, isoDate(l.Time), l.Stream, l.ID, l.Name})
}

// isoDate returns a time as JavaScript's toISOString does; empty if it isn't known.
func isoDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
