// Package loghandler is the handler behind the logs of Sidereal's processes: it writes log/slog's
// records with zerolog, as lines of JSON with the fields "level", "time" and "message", or as text
// for a terminal.
package loghandler

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// TimeFormat is the format of the field "time".
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// New makes a handler that writes each record of at least level to w, as one line of JSON and with
// one Write at a time. Records that have no field of the same name get those of origin.
func New(w io.Writer, level slog.Leveler, origin ...slog.Attr) slog.Handler {
	return handler{lines: zerolog.NewSlogHandler(zerolog.New(zerolog.SyncWriter(w)).Hook(milliseconds{})), level: level, origin: origin}
}

// Console makes a writer that turns a line of JSON into text for people.
func Console(w io.Writer, color bool) io.Writer {
	return zerolog.ConsoleWriter{Out: w, NoColor: !color, TimeFormat: "15:04:05.000"}
}

// milliseconds adds the time with milliseconds. The format of zerolog's own timestamp is a global
// variable.
type milliseconds struct{}

func (milliseconds) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	var text [len(TimeFormat)]byte
	e.Bytes(zerolog.TimestampFieldName, time.Now().AppendFormat(text[:0], TimeFormat))
}

// handler adds to zerolog's handler the level, which only Enabled checks, and groups that don't
// apply to the fields of an earlier With.
type handler struct {
	lines  slog.Handler
	level  slog.Leveler
	groups []string    // open
	origin []slog.Attr // for each record
}

func (h handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{} // the hook writes it
	origin := h.origin
	if len(h.groups) == 0 {
		r.Attrs(func(a slog.Attr) bool { origin = without(origin, a); return true })
	}
	if len(h.groups) > 0 {
		fields := make([]slog.Attr, 0, r.NumAttrs())
		r.Attrs(func(a slog.Attr) bool { fields = append(fields, a); return true })
		r = slog.NewRecord(time.Time{}, r.Level, r.Message, r.PC)
		r.AddAttrs(h.grouped(fields)...)
	}
	r.AddAttrs(origin...)
	return h.lines.Handle(ctx, r)
}

// without returns the fields that have another name than a.
func without(fields []slog.Attr, a slog.Attr) []slog.Attr {
	if !slices.ContainsFunc(fields, func(f slog.Attr) bool { return f.Key == a.Key }) {
		return fields
	}
	return slices.DeleteFunc(slices.Clone(fields), func(f slog.Attr) bool { return f.Key == a.Key })
}

func (h handler) WithAttrs(fields []slog.Attr) slog.Handler {
	if len(h.groups) == 0 {
		for _, a := range fields {
			h.origin = without(h.origin, a)
		}
	}
	h.lines = h.lines.WithAttrs(h.grouped(fields))
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.groups = append(slices.Clip(h.groups), name)
	}
	return h
}

// grouped puts fields into the open groups.
func (h handler) grouped(fields []slog.Attr) []slog.Attr {
	for _, name := range slices.Backward(h.groups) {
		fields = []slog.Attr{{Key: name, Value: slog.GroupValue(fields...)}}
	}
	return fields
}
