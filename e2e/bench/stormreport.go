//go:build linux

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

const stormIntro = `<!-- Written by make bench-storm; do not edit: the text is in e2e/bench/stormreport.go. -->
# The death of a host

One of %d hosts dies by SIGKILL: router, worker and supervisor at once. Each host has one worker and
an equal share of the %d WebSockets. The dead host's clients come back like the official client:
after 0.5 to 1.5 s at random, then after up to 7.5 s. A balancer sends them to a live host. A client
is served again when it has joined the main namespace and got an answer. Meanwhile the clients of
the other hosts send %d echoes of 128 B a second. Clients and hosts share one machine.

    go run ./e2e/bench %s

- %s, %.0f s, %d rounds, revision %s
%s- load average at the end: %s

`

func stormReport(o stormOptions, rounds []*stormRound, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, stormIntro, o.hosts, o.clients, stormRate, strings.Join(os.Args[1:], " "), time.Now().UTC().Format("2 January 2006"), took.Seconds(),
		len(rounds), revision(), machine(), loadAverage())
	b.WriteString("![clients served again](images/storm-served.svg)\n\n![the other clients' echoes](images/storm-echoes.svg)\n\n" +
		"Times in s after the death at which half, 99 % and the last of the dead host's clients were served\n" +
		"again. Refused attempts got an error from a router or worker. The delays of the other clients'\n" +
		"echoes are 99th percentiles in ms: before, until the last client was back, and in the worst quarter\n" +
		"of a second.\n\n" +
		"| round | its clients | half | 99 % | last | refused | cut | others dropped | echoes lost | p99 before | p99 during | worst |\n" +
		"|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|\n")
	for i, r := range rounds {
		fmt.Fprintf(&b, "| %d %s\n", i+1, r.row())
	}
	return b.String()
}

// row is the round's line of the table, without its number.
func (r *stormRound) row() string {
	back := slices.Sorted(slices.Values(r.back))
	when := func(percent int) string {
		n := (r.victims*percent + 99) / 100 // so many clients
		if n == 0 || n > len(back) {
			return "never"
		}
		return fmt.Sprintf("%.2f", back[n-1].Seconds())
	}
	var last time.Duration
	if len(back) > 0 {
		last = back[len(back)-1]
	}
	var before, during []float64
	for _, e := range r.echoes {
		switch {
		case e.at < 0:
			before = append(before, millis(e.took))
		case e.at <= last:
			during = append(during, millis(e.took))
		}
	}
	worst := 0.0
	for _, step := range r.steps() {
		if step.at >= 0 && step.at <= last {
			worst = max(worst, step.p99)
		}
	}
	var refused []string
	for _, status := range slices.Sorted(maps.Keys(r.refused)) {
		refused = append(refused, fmt.Sprintf("%d × %s", r.refused[status], status))
	}
	if len(refused) == 0 {
		refused = []string{"0"}
	}
	return fmt.Sprintf("| %d | %s | %s | **%s** | %s | %d | %d | %d | %s | %s | %s |", r.victims, when(50), when(99), when(100), strings.Join(refused, ", "), r.cut,
		r.dropped, r.unanswered, short(percentileOf(before, 99)), short(percentileOf(during, 99)), short(worst))
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentileOf is percentile, or 0 of nothing.
func percentileOf(values []float64, percent int) float64 {
	if len(values) == 0 {
		return 0
	}
	return percentile(values, percent)
}

// stormPart is a quarter of a second.
type stormPart struct {
	at       time.Duration
	p50, p99 float64 // ms
}

// steps are the others' echoes by the time when they were sent.
func (r *stormRound) steps() (steps []stormPart) {
	byStep := map[int][]float64{}
	for _, e := range r.echoes {
		n := int((e.at + time.Hour) / stormStep) // times before the death are negative
		byStep[n] = append(byStep[n], millis(e.took))
	}
	for _, n := range slices.Sorted(maps.Keys(byStep)) {
		steps = append(steps, stormPart{time.Duration(n)*stormStep - time.Hour, percentile(byStep[n], 50), percentile(byStep[n], 99)})
	}
	return steps
}

// stormCharts are the curves of all rounds.
func stormCharts(rounds []*stormRound) []chart {
	served := chart{File: "storm-served", Title: "Clients of the dead host that are served again", X: "seconds after its death", Y: "% of its clients"}
	echoes := chart{File: "storm-echoes", Title: "Echoes of the other hosts' clients", X: "seconds after the death", Y: "99th percentile, ms"}
	for i, r := range rounds {
		s, e := line{Name: fmt.Sprintf("round %d", i+1)}, line{Name: fmt.Sprintf("round %d", i+1)}
		s.X, s.Y = append(s.X, 0), append(s.Y, 0)
		back := slices.Sorted(slices.Values(r.back))
		for k, at := range back {
			if percent := 100 * (k + 1) / r.victims; k == len(back)-1 || percent > 100*k/r.victims {
				s.X, s.Y = append(s.X, at.Seconds()), append(s.Y, float64(percent))
			}
		}
		for _, step := range r.steps() {
			e.X, e.Y = append(e.X, step.at.Seconds()), append(e.Y, step.p99)
		}
		served.Lines = append(served.Lines, s)
		if len(e.X) > 0 {
			echoes.Lines = append(echoes.Lines, e)
		}
	}
	return []chart{served, echoes}
}
