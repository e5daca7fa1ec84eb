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
# Servers of Sidereal's and Node's in one cluster

What e2e/interop does in every run of ` + "`make test`" + `: four servers at once on one Redis, two of Sidereal's and two of Node's
(socket.io with the npm adapters), three clients on each (the official one), and the emitters. Each operation is done by each
kind of sender with each payload. What it does to another server of either kind (what each client hears, in which rooms it
is then, how its connection ends, which server-side events arrive, what the server answers) is compared with what the same
operation does from one of Node's servers to another, in the same run. For emitters it is what Node's emitter does, where
there is one (redis), else what a server of Node's does.

`

// page is docs/interop.md.
func (tb *table) page() string {
	var b strings.Builder
	b.WriteString(preface)
	fmt.Fprintf(&b, "**%d comparisons; %d are as among Node's servers, %d differ by the reasons below.**\n\n",
		len(tb.cells), len(tb.cells)-len(tb.reasons), len(tb.reasons))
	b.WriteString("Payloads: ")
	for i, p := range payloads {
		fmt.Fprintf(&b, "%s%s", map[bool]string{true: "; "}[i > 0], p.name)
	}
	b.WriteString(".\n\n## Comparisons that agree\n\nWith the number of those that do not, and why.\n\n| operation |")
	for _, t := range transports {
		fmt.Fprintf(&b, " %s |", t.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(transports)) + "\n")
	for _, op := range operations {
		fmt.Fprintf(&b, "| %s |", op.name)
		for _, t := range transports {
			if op.only != "" && op.only != t.name {
				b.WriteString(" Node has none |")
				continue
			}
			fmt.Fprintf(&b, " %s |", tb.summary(t.name, op.name))
		}
		b.WriteString("\n")
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
	return fmt.Sprintf("%d, %d not %s", agree, differ, strings.Join(notes, " "))
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
