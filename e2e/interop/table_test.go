//go:build e2e

package interop

import (
	"fmt"
	"slices"
	"strings"
)

// table collects the results of a run for docs/interop.md.
type table struct {
	cells   []cell
	reasons map[cell]string // of those that differ
}

func (tb *table) add(c cell, reason string) {
	if tb.reasons == nil {
		tb.reasons = map[cell]string{}
	}
	tb.cells = append(tb.cells, c)
	if reason != "" {
		tb.reasons[c] = reason
	}
}

const preface = `<!-- Written by make interop; do not edit. -->
# Sidereal beside Node's servers

Each run of ` + "`make test`" + ` starts two of Sidereal's servers and two of Node's (socket.io with the npm
adapters) on one Redis, with three official clients each, and the emitters. Each kind of sender
performs each operation with each payload. The test compares the effects (what each client hears,
its rooms, how its connection ends, server-side events, the server's answer) with those between two
Node servers in the same run, or with Node's redis-emitter.

`

// page is docs/interop.md.
func (tb *table) page() string {
	var b strings.Builder
	b.WriteString(preface)
	fmt.Fprintf(&b, "**%d comparisons: %d agree with Node, %d differ for the reasons below.**\n\n",
		len(tb.cells), len(tb.cells)-len(tb.reasons), len(tb.reasons))
	b.WriteString("Payloads:\n\n")
	for _, p := range payloads {
		b.WriteString("- " + p.name + "\n")
	}
	b.WriteString("\n## Comparisons\n\nA cell has the number that agree for each operation, then those that differ and why.\n\n| operations |")
	for _, t := range transports {
		fmt.Fprintf(&b, " %s |", t.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(transports)) + "\n")
	var rows []string // results, in the order in which they first occur
	with := map[string][]string{}
	for _, op := range operations {
		var row strings.Builder
		for _, t := range transports {
			if op.only != "" && op.only != t.name {
				row.WriteString(" Node has none |")
				continue
			}
			fmt.Fprintf(&row, " %s |", tb.summary(t.name, op.name))
		}
		if with[row.String()] == nil {
			rows = append(rows, row.String())
		}
		with[row.String()] = append(with[row.String()], op.name)
	}
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |%s\n", strings.Join(with[row], "; "), row)
	}
	b.WriteString("\n## Differences\n\n| | between | payloads | why |\n|---|---|---|---|\n")
	for i, d := range differences {
		fmt.Fprintf(&b, "| [%d] | %s | %s | %s |\n", i+1, tb.pairs(d.reason), tb.payloads(d.reason), d.reason)
	}
	return b.String()
}

// summary counts the comparisons of one operation.
func (tb *table) summary(transport, operation string) string {
	agree, differ := 0, 0
	var notes []string
	for _, c := range tb.cells {
		if c.transport != transport || c.operation != operation {
			continue
		}
		reason := tb.reasons[c]
		if reason == "" {
			agree++
			continue
		}
		differ++
		note := fmt.Sprintf("[%d]", 1+slices.IndexFunc(differences, func(d *difference) bool { return d.reason == reason }))
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	if differ == 0 {
		return fmt.Sprint(agree)
	}
	return fmt.Sprintf("%d, %d differ %s", agree, differ, strings.Join(notes, " "))
}

// pairs are the senders and receivers between which something differs for that reason.
func (tb *table) pairs(reason string) string {
	return tb.list(reason, func(c cell) string { return string(c.from + " → " + c.to) })
}

func (tb *table) payloads(reason string) string {
	return tb.list(reason, func(c cell) string { return c.payload })
}

func (tb *table) list(reason string, what func(cell) string) string {
	var all []string
	for _, c := range tb.cells {
		if tb.reasons[c] == reason && !slices.Contains(all, what(c)) {
			all = append(all, what(c))
		}
	}
	return strings.Join(all, "; ")
}
