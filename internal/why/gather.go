package why

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// Gather asks a source for everything about an id: a sid, a socket's id, the begin of one, or a
// client's address. Together with an error it returns what it learned.
func Gather(ctx context.Context, s inspect.Source, id string) (f Facts, err error) {
	f.ID = id
	q := inspect.Query{ID: id}
	if addr, err := netip.ParseAddr(id); err == nil {
		q = inspect.Query{Address: addr.String()}
	}
	if err := q.Check(); err != nil {
		return f, err
	}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	f.Ended, err = rows(s.Ended(ctx, q))
	note(err)
	f.Clients, err = rows(s.Clients(ctx, q))
	note(err)
	if q.ID != "" && len(f.Ended) > 0 {
		q.ID = f.Ended[0].SID // routers know no socket ids
	} else if q.ID != "" && len(f.Clients) > 0 {
		q.ID = f.Clients[0].SID
	}
	if len(q.ID) >= 4 || q.Address != "" {
		f.Decisions, err = rows(s.Decisions(ctx, q))
		note(err)
	}
	f.Others, err = rows(s.Ended(ctx, inspect.Query{Limit: inspect.MaxRows}))
	note(err)
	samples, err := s.Samples(ctx)
	note(err)
	for _, sample := range samples {
		if sample.PID != 0 {
			f.Processes = append(f.Processes, sample.Process)
		}
		if sample.LastEnd != "" && sample.Role == "worker" {
			f.Restarts = append(f.Restarts, Restart{sample.Process, sample.LastEnd})
		}
	}
	slices.SortFunc(f.Restarts, func(a, b Restart) int { return b.Process.Started.Compare(a.Process.Started) })
	f.Restarts = f.Restarts[:min(len(f.Restarts), 3)]
	return f, errors.Join(errs...)
}

func rows[T any](p inspect.Page[T], err error) ([]T, error) { return p.Rows, err }

// Print writes a diagnosis for people, without characters that control a terminal: clients choose
// the names of events and rooms.
func (d *Diagnosis) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", d.State, d.Cause, d.Text)
	if d.Remedy != "" {
		fmt.Fprintf(&b, "\n%s\n", d.Remedy)
	}
	if len(d.Evidence) > 0 {
		b.WriteByte('\n')
	}
	for _, line := range d.Evidence {
		fmt.Fprintf(&b, "  %s\n", Printable(line))
	}
	_, err := io.WriteString(w, fold(Printable(b.String())))
	return err
}

// Printable replaces characters that control a terminal.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '.'
	}, text)
}

// width is where paragraphs are folded.
const width = 100

// fold breaks long lines between words.
func fold(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		column := 0
		for word := range strings.SplitSeq(strings.TrimSuffix(line, "\n"), " ") {
			n := len([]rune(word))
			switch {
			case column == 0:
			case column+1+n > width:
				b.WriteByte('\n')
				column = 0
			default:
				b.WriteByte(' ')
				column++
			}
			b.WriteString(word)
			column += n
			if word == "" && column == 0 {
				b.WriteByte(' ') // an indent
				column++
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
