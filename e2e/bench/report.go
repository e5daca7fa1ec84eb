//go:build linux

package main

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

//go:embed notes.md
var notes string

// report is docs/performance.md.
func report(o options, results []*result, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by go run ./e2e/bench; do not edit: the notes are in e2e/bench/notes.md. -->\n# Performance\n\n")
	fmt.Fprintf(&b, "Sidereal beside the systems that it replaces, measured in one run. CPU time is the user and system\n"+
		"time of **all** processes of a system, without the load generator. Systems take turns in each round.\n"+
		"Figures are medians over the rounds, with lowest and highest in parentheses.\n\n")
	fmt.Fprintf(&b, "    go run ./e2e/bench %s\n\n", strings.Join(os.Args[1:], " "))
	fmt.Fprintf(&b, "- %s, %.0f s, %d rounds, revision %s\n%s", time.Now().UTC().Format("2 January 2006"), took.Seconds(), o.rounds, revision(), machine())
	lost := 0
	for _, r := range results {
		lost += r.lost()
	}
	fmt.Fprintf(&b, "- messages lost, or acks out of order, in all rounds of all systems: **%d**\n\nThe systems:\n\n", lost)
	for _, key := range slices.Concat(columns, routers[1:], relays, pairs) {
		fmt.Fprintf(&b, "- **%s**: %s\n", key, titles[key])
	}
	targetsTable(&b, results)
	cpuTable(&b, results)
	partsTable(&b, results)
	routedTable(&b, results)
	relayedTable(&b, results)
	memoryTable(&b, results)
	heldTable(&b, results)
	betweenTable(&b, results)
	upgradeTable(&b, results)
	startTable(&b, results)
	return b.String() + "\n" + notes
}

func of(results []*result, q quantity) (some []*result) {
	for _, r := range results {
		if r.quantity == q {
			some = append(some, r)
		}
	}
	return some
}

// column is where a system's figures stand.
func column(key string) string { return strings.TrimSuffix(key, "z") }

var columns = append(slices.Clone(all), twoHosts, bun, limit)

func row(b *strings.Builder, r *result, figure func(key string) string) {
	cells := map[string]string{}
	for _, key := range r.keys() {
		cells[column(key)] = figure(key)
	}
	for _, key := range columns {
		fmt.Fprintf(b, " %s |", cells[key])
	}
}

func cpuTable(b *strings.Builder, results []*result) {
	some := of(results, cpuTime)
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## CPU\n\nCPU time in µs per unit of work. The last columns are ratios within a round: our worker to the\nlimit, to the floor and to Bun, Node to our worker, nginx with two Node processes to our host.\n\n"+
		"| work | per | A | B | C | D | E | F | G | L | A ÷ L | A ÷ C | A ÷ G | B ÷ A | E ÷ D |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range some {
		fmt.Fprintf(b, "| %s | %s |", r.title, r.unit)
		row(b, r, func(key string) string {
			median, low, high := spread(r.values(key, ""))
			return fmt.Sprintf("**%s** (%s–%s)", short(median), short(low), short(high))
		})
		against := func(top, bottom string) string {
			if ratios := r.ratios(top, "", bottom, ""); len(ratios) > 0 {
				median, _, _ := spread(ratios)
				return fmt.Sprintf("%.2f", median)
			}
			return ""
		}
		top, bottom := node, ours
		if _, deflated := r.samples[nodeDeflate]; deflated {
			top, bottom = nodeDeflate, oursDeflate
		}
		fmt.Fprintf(b, " %s | %s | %s | %s | %s |\n", against(ours, limit), against(ours, floor), against(ours, bun), against(top, bottom), against(nodeHost, host))
	}
}

// ratios are those of one system, or part of it, to another, round by round.
func (r *result) ratios(top, topPart, bottom, bottomPart string) (ratios []float64) {
	above, below := r.values(top, topPart), r.values(bottom, bottomPart)
	for i := range min(len(above), len(below)) {
		if below[i] > 0 {
			ratios = append(ratios, above[i]/below[i])
		}
	}
	return ratios
}

func partsTable(b *strings.Builder, results []*result) {
	some := of(results, cpuTime)
	some = slices.DeleteFunc(slices.Clone(some), func(r *result) bool { return len(r.samples[host]) == 0 })
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### By process\n\nMedians. The sums above include D's supervisor, which carries no messages.\n\n"+
		"| work | D: router | workers | Redis | E: nginx | Node | Redis |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range some {
		fmt.Fprintf(b, "| %s |", r.title)
		for _, p := range []struct{ key, part string }{{host, "router"}, {host, "worker"}, {host, "redis"}, {nodeHost, "nginx"}, {nodeHost, "node"}, {nodeHost, "redis"}} {
			median, _, _ := spread(r.values(p.key, p.part))
			fmt.Fprintf(b, " %s |", short(median))
		}
		b.WriteString("\n")
	}
}

func memoryTable(b *strings.Builder, results []*result) {
	some := of(results, memory)
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Memory\n\nGrowth of the proportional set size (PSS) of all processes in bytes per connection or session,\nmeasured once, without the kernel's memory for sockets.\n\n"+
		"| held | A | B | C | D | E | F | G | L | D: router | workers | E: nginx | Node |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range some {
		fmt.Fprintf(b, "| %s |", r.title)
		row(b, r, func(key string) string { return fmt.Sprintf("**%.0f**", r.samples[key][0].value) })
		ours := pick(r.relayed > 0, twoHosts, host)
		for _, p := range []struct{ key, part string }{{ours, "router"}, {ours, "worker"}, {nodeHost, "nginx"}, {nodeHost, "node"}} {
			cell := ""
			if v := r.values(p.key, p.part); len(v) > 0 {
				cell = fmt.Sprintf("%.0f", v[0])
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteString("\n")
	}
}

// heldTable is about more connections than one process may have.
func heldTable(b *strings.Builder, results []*result) {
	for _, r := range of(results, held) {
		m := r.samples[crowdHost][0]
		fmt.Fprintf(b, "\n### Many\n\n%d idle WebSockets on one host (%s; %.0f here),\non the same two cores as their clients, garbage collected:\n\n| quantity | |\n|---|--:|\n",
			m.units, titles[crowdHost], m.parts[heldWorkers])
		fmt.Fprintf(b, "| PSS of all its processes, each connection | %.0f B |\n", m.value)
		for _, part := range []string{heldMemory, heldKernel, heldRouter, heldPace, heldIdle, heldFanOut} {
			fmt.Fprintf(b, "| %s | %s |\n", part, short(m.parts[part]))
		}
	}
}

// betweenTable is about servers beside each other.
func betweenTable(b *strings.Builder, results []*result) {
	some := slices.Concat(of(results, between), of(results, delay))
	if len(some) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Between servers\n\nCPU time in µs of one server, without Redis, per message of 128 B from or to another one, and the\n"+
		"delay between clients of two servers. Sidereal and Node send the same bytes; the bare loop only\n"+
		"reads them. Messages to sockets wait for later polls, so the figures contain no sends.\n\n"+
		"| work | in | Sidereal | Node | bare loop | Sidereal ÷ Node | bare ÷ Sidereal |\n|---|---|--:|--:|--:|--:|--:|\n")
	for _, r := range some {
		fmt.Fprintf(b, "| %s | %s |", r.title, pick(r.quantity == delay, "µs", "CPU µs"))
		for _, key := range pairs {
			median, low, high := spread(r.values(key, ""))
			fmt.Fprintf(b, " **%s** (%s–%s) |", short(median), short(low), short(high))
		}
		for _, of := range [][2]string{{oursTwo, nodeTwo}, {bareTwo, oursTwo}} {
			median, _, _ := spread(r.ratios(of[0], "", of[1], ""))
			fmt.Fprintf(b, " %.2f |", median)
		}
		b.WriteString("\n")
	}
}

func startTable(b *strings.Builder, results []*result) {
	for _, r := range of(results, wallTime) {
		fmt.Fprintf(b, "\n## Start\n\n%s, in milliseconds:\n\n| A | B | D |\n|--:|--:|--:|\n|", r.title)
		for _, key := range r.keys() {
			median, low, high := spread(r.values(key, ""))
			fmt.Fprintf(b, " **%.0f** (%.0f–%.0f) |", median, low, high)
		}
		b.WriteString("\n")
	}
}

// short writes three digits or so.
func short(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", max(v, 0))
}
