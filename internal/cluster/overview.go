package cluster

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
)

// Overview is an app as its directory shows it.
type Overview struct {
	App      string              `json:"app"`
	Sessions int                 `json:"sessions"` // of all workers, at their last beats
	Hosts    []Host              `json:"hosts"`
	Routers  []*directory.Router `json:"routers"`
	Workers  []*directory.Worker `json:"workers"`
	Problems []string            `json:"problems"` // settings that differ
}

// Host sums up one host of an app.
type Host struct {
	Name     string   `json:"name"`
	Routers  int      `json:"routers"`
	Workers  int      `json:"workers"`
	Ready    int      `json:"ready"` // of the workers
	Sessions int      `json:"sessions"`
	Versions []string `json:"versions"`
}

// OverviewOf sums up an app from the table of its directory.
func OverviewOf(app string, t *directory.Table) *Overview {
	c := &Overview{App: app, Hosts: []Host{}, Routers: t.Routers(), Workers: t.All(), Problems: Disagreements(t.All(), "", "")}
	if c.Problems == nil {
		c.Problems = []string{}
	}
	host := func(name, version string) *Host {
		i := slices.IndexFunc(c.Hosts, func(h Host) bool { return h.Name == name })
		if i < 0 {
			c.Hosts, i = append(c.Hosts, Host{Name: name}), len(c.Hosts)
		}
		h := &c.Hosts[i]
		if version != "" && !slices.Contains(h.Versions, version) {
			h.Versions = append(h.Versions, version)
		}
		return h
	}
	for _, r := range c.Routers {
		host(r.Host, r.Version).Routers++
	}
	for _, w := range c.Workers {
		h := host(w.Host, w.Version)
		h.Workers++
		h.Sessions += w.Clients
		c.Sessions += w.Clients
		if w.State == directory.StateReady {
			h.Ready++
		}
	}
	slices.SortFunc(c.Hosts, func(a, b Host) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// Shown are the workers of a table as a status page shows them.
func Shown(t *directory.Table) (out []admin.Worker) {
	for _, w := range t.All() {
		out = append(out, admin.Worker{ID: w.ID, Slot: w.Slot, Host: w.Host, Addr: w.Addr, PID: w.PID,
			State: string(w.State), Clients: w.Clients, Version: w.Version})
	}
	return out
}

// Print writes tables that fit 80 columns.
func (c *Overview) Print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "app %s: %s, %s, %s, %s\n", c.App, count(len(c.Hosts), "host"), count(len(c.Routers), "router"),
		count(len(c.Workers), "worker"), count(c.Sessions, "session"))
	if len(c.Hosts) > 0 {
		fmt.Fprint(t, "\nHOST\tROUTERS\tWORKERS\tREADY\tSESSIONS\tVERSION\n")
	}
	for _, h := range c.Hosts {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\n", cut(h.Name, 24), h.Routers, h.Workers, h.Ready, h.Sessions, cut(strings.Join(h.Versions, ", "), 18))
	}
	if len(c.Routers) > 0 {
		fmt.Fprint(t, "\nROUTER\tHOST\tADDRESS\tSTATE\tHOLDS\tUP\n")
	}
	for _, r := range c.Routers {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.ID, cut(r.Host, 20), cut(r.Addr, 22), r.State, r.Sessions, age(r.Started))
	}
	if len(c.Workers) > 0 {
		fmt.Fprint(t, "\nWORKER\tHOST\tSLOT\tPID\tSTATE\tSESSIONS\tADAPTER\tUP\n")
	}
	for _, w := range c.Workers {
		pid := "-" // of one that is listed by hand nothing is known
		if w.PID != 0 {
			pid = strconv.Itoa(w.PID)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", w.ID, cut(w.Host, 16), w.Slot, pid, w.State, w.Clients, cmp.Or(cut(w.Adapter, 13), "-"), age(w.Started))
	}
	for _, p := range c.Problems {
		fmt.Fprintf(t, "\nproblem: %s\n", p)
	}
	return t.Flush()
}

func count(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// age is how long something has run, for people: by the clocks of two hosts.
func age(started time.Time) string {
	d := time.Since(started)
	switch {
	case started.IsZero() || d < 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// cut makes a text fit a column.
func cut(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}
