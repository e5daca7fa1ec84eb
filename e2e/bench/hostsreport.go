//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// chart is a picture that tools/plot draws.
type chart struct {
	File  string `json:"file"` // without its ending
	Title string `json:"title"`
	X     string `json:"x"`
	Y     string `json:"y"`
	Lines []line `json:"lines"`
}

// line is a median with its range over the rounds. Low and High may be missing.
type line struct {
	Name string    `json:"name"`
	X    []float64 `json:"x"`
	Y    []float64 `json:"y"`
	Low  []float64 `json:"low,omitempty"`
	High []float64 `json:"high,omitempty"`
}

func writeCharts(file string, charts []chart) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(charts, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// write writes the report and the charts of what was measured so far.
func (g *growth) write() error {
	if err := writeCharts(g.o.charts, g.charts()); err != nil {
		return err
	}
	if g.o.out == "" {
		if g.rounds < g.o.rounds {
			return nil
		}
		_, err := os.Stdout.WriteString(g.report())
		return err
	}
	return os.WriteFile(g.o.out, []byte(g.report()), 0o644)
}

// parts are the columns of the report: all processes, and those that carry messages.
var hostsParts = []struct{ part, title string }{{"", "all"}, {"router", "routers"}, {"worker", "workers"}, {"redis", "Redis"}, {"supervisor", "supervisors"}}

func (g *growth) report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written by make bench-hosts; do not edit: the text is in e2e/bench/hostsreport.go. -->\n# Many hosts\n\n"+
		"How the cost of a message grows with the hosts. Each host is a `sidereal up` with one worker, at an\n"+
		"address of its own on loopback. All share one `redis-server` and the adapter `%s`. Figures are\n"+
		"CPU time in µs of all processes but the clients: the median of the rounds, and their range if there\n"+
		"are several. [scale.md](scale.md) draws conclusions.\n\n    go run ./e2e/bench %s\n\n"+
		"- %s, %.0f s, %d of %d rounds, revision %s\n%s- load average at the end: %s\n- messages lost, or acks out of order: **%d**\n",
		g.o.adapter, strings.Join(os.Args[1:], " "), time.Now().UTC().Format("2 January 2006"), time.Since(g.begun).Seconds(), g.rounds, g.o.rounds,
		revision(), machine(), loadAverage(), g.lost())
	for _, failure := range g.failed {
		fmt.Fprintf(&b, "- **failed**: %s\n", failure)
	}
	b.WriteString("\nSessions are spread evenly over the hosts. Requests enter\n\n" +
		"- **at the session's host**: a balancer with affinity, or clients that begin with WebSocket.\n" +
		"- **at random**: each WebSocket enters at a random host, after polling at its session's host. Each\n" +
		"  request of a polling session enters at the next host.\n" +
		"- **all at one host**.\n\n")
	g.growthTable(&b)
	for _, w := range works {
		g.workTable(&b, w)
	}
	g.restTable(&b)
	b.WriteString(hostsNotes)
	return b.String()
}

const hostsNotes = `
## Reading the figures

- The clock is each process's own, in ns, before and after a round.
- A process that finds more bytes per wake-up needs less CPU for each. So "at each host", with the
  same clients for each host, shows the cost of hosts. "In all" spreads the same clients over more
  processes, and each wakes up for fewer messages: that would grow without any cluster, too.
- All hosts share the machine's cores with the clients and Redis. On a busy core, messages wait, and
  a process finds more of them per wake-up.
- The figures contain the beats of all hosts. "At rest" shows them alone.
`

// goals say by how much the cost of a unit may grow from 2 to 8 hosts.
var goals = map[string]float64{entryHome: 1.05, entryRandom: 1.40}

// growthTable compares the smallest cluster of several hosts with the largest one.
func (g *growth) growthTable(b *strings.Builder) {
	few, many := g.ends()
	if few == many {
		return
	}
	fmt.Fprintf(b, "## Growth from %d to %d hosts\n\nRatios within a round.\n\n| work |", few, many)
	for _, e := range entries {
		fmt.Fprintf(b, " %s |", e.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(entries)) + "\n")
	for _, w := range works {
		fmt.Fprintf(b, "| %s |", w.title)
		for _, e := range entries {
			fmt.Fprintf(b, " %s |", g.growthCell(w.name, e.key, few, many))
		}
		b.WriteString("\n")
	}
	if few == 2 && many == 8 {
		fmt.Fprintf(b, "\nGoals for echoes: at most %.2f at the session's host, and %.2f at random.\n", goals[entryHome], goals[entryRandom])
	}
}

func (g *growth) growthCell(work, entry string, few, many int) string {
	var ratios []float64
	below := g.samples[cell{work, pick(few == 1, entryHome, entry), few}]
	for i, m := range g.samples[cell{work, entry, many}] {
		if i < len(below) && below[i].value > 0 {
			ratios = append(ratios, m.value/below[i].value)
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	return g.figure(ratios, func(v float64) string { return fmt.Sprintf("%.2f", v) })
}

// figure is the median of the rounds, with their range if there are several.
func (g *growth) figure(values []float64, text func(float64) string) string {
	median, low, high := spread(values)
	if len(values) < 2 {
		return "**" + text(median) + "**"
	}
	return fmt.Sprintf("**%s** (%s–%s)", text(median), text(low), text(high))
}

// ends are the smallest number of several hosts, and the largest.
func (g *growth) ends() (few, many int) {
	counts := slices.Sorted(slices.Values(g.o.counts))
	few, many = counts[0], counts[len(counts)-1]
	if few == 1 && len(counts) > 2 {
		few = counts[1]
	}
	return few, many
}

func (g *growth) workTable(b *strings.Builder, w work) {
	fmt.Fprintf(b, "\n## %s\n\n![CPU per %s](images/hosts-%s.svg)\n\n| hosts | entry | relayed |", w.title, w.unit, w.name)
	for _, p := range hostsParts {
		fmt.Fprintf(b, " %s |", p.title)
	}
	b.WriteString("\n|--:|---|--:|" + strings.Repeat("--:|", len(hostsParts)) + "\n")
	for _, n := range g.o.counts {
		for _, e := range entries {
			at := cell{w.name, e.key, n}
			samples := g.samples[at]
			if len(samples) == 0 {
				continue
			}
			away := "-"
			if len(g.relayed[at]) > 0 {
				median, _, _ := spread(g.relayed[at])
				away = fmt.Sprintf("%.0f %%", 100*median)
			}
			fmt.Fprintf(b, "| %d | %s | %s |", n, e.title, away)
			for _, p := range hostsParts {
				values := valuesOf(samples, p.part)
				if p.part == "" {
					fmt.Fprintf(b, " %s |", g.figure(values, short))
				} else {
					median, _, _ := spread(values)
					fmt.Fprintf(b, " %s |", short(median))
				}
			}
			b.WriteString("\n")
		}
	}
}

// restTable shows the share of a core that an idle cluster takes.
func (g *growth) restTable(b *strings.Builder) {
	b.WriteString("\n## At rest\n\nCPU time in ms a second without any client. The last column is for each host, without Redis.\n\n| hosts |")
	for _, p := range hostsParts {
		fmt.Fprintf(b, " %s |", p.title)
	}
	b.WriteString(" a host |\n|--:|" + strings.Repeat("--:|", len(hostsParts)+1) + "\n")
	for _, n := range g.o.counts {
		samples := g.samples[cell{workRest.name, "", n}]
		if len(samples) == 0 {
			continue
		}
		fmt.Fprintf(b, "| %d |", n)
		for _, p := range hostsParts {
			median, _, _ := spread(valuesOf(samples, p.part))
			fmt.Fprintf(b, " %s |", short(median))
		}
		all, _, _ := spread(valuesOf(samples, ""))
		redis, _, _ := spread(valuesOf(samples, "redis"))
		fmt.Fprintf(b, " %s |\n", short((all-redis)/float64(n)))
	}
}

// charts are one for each work.
func (g *growth) charts() (charts []chart) {
	for _, w := range works {
		c := chart{File: "hosts-" + w.name, Title: w.title, X: "hosts", Y: "CPU µs per " + w.unit}
		for _, e := range entries {
			if l := g.line(w.name, e.key, ""); len(l.X) > 0 {
				l.Name = e.title
				c.Lines = append(c.Lines, l)
			}
		}
		for _, p := range hostsParts[1:4] {
			if l := g.line(w.name, entryRandom, p.part); len(l.X) > 0 {
				l.Name, l.Low, l.High = "at random: "+p.title, nil, nil
				c.Lines = append(c.Lines, l)
			}
		}
		if len(c.Lines) > 0 {
			charts = append(charts, c)
		}
	}
	return charts
}

// line is a line over the numbers of hosts. With one host, all entries are the same.
func (g *growth) line(work, entry, part string) (l line) {
	for _, n := range slices.Sorted(slices.Values(g.o.counts)) {
		samples := g.samples[cell{work, pick(n == 1, entryHome, entry), n}]
		if len(samples) == 0 {
			continue
		}
		median, low, high := spread(valuesOf(samples, part))
		l.X, l.Y, l.Low, l.High = append(l.X, float64(n)), append(l.Y, median), append(l.Low, low), append(l.High, high)
	}
	return l
}

func valuesOf(samples []sample, part string) (v []float64) {
	for _, m := range samples {
		v = append(v, pick(part == "", m.value, m.parts[part]))
	}
	return v
}

func (g *growth) lost() (n int) {
	for _, samples := range g.samples {
		for _, m := range samples {
			n += m.lost
		}
	}
	return n
}
