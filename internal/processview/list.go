package processview

import (
	"cmp"
	"fmt"
	"maps"
	osuser "os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// SortBy lists the columns that List sorts by.
var SortBy = []string{"id", "name", "namespace", "pid", "status", "uptime", "cpu", "memory", "restart"}

// Sort orders a listing's processes by a column of SortBy, descending with the suffix ":desc".
// Its error names the columns.
func Sort(l *daemon.Listing, by string) error {
	by, order, _ := strings.Cut(by, ":")
	less, ok := orders[by]
	if !ok || order != "" && order != "asc" && order != "desc" {
		return fmt.Errorf("can't sort by %q: use %s, with :desc in reverse", by, strings.Join(SortBy, ", "))
	}
	slices.SortStableFunc(l.Processes, func(a, b daemon.Process) int {
		if order == "desc" {
			a, b = b, a
		}
		return less(&a, &b)
	})
	return nil
}

// List writes the table of all processes and, below it, the addresses of the apps.
func List(s Screen, l daemon.Listing, now time.Time) error {
	t := table{columns: []column{
		{head: "id"}, {head: "name", min: 10}, {head: "namespace", rank: 8, min: 8}, {head: "version", rank: 9, min: 6}, {head: "mode", rank: 5},
		{head: "pid", rank: 6}, {head: "uptime", rank: 3}, {head: "↺", rank: 2}, {head: "status"}, {head: "cpu", rank: 4},
		{head: "mem", rank: 1}, {head: "user", rank: 10, min: 6}, {head: "watching", rank: 7},
	}}
	versions := map[string]string{}
	for i := range l.Processes {
		p := &l.Processes[i]
		app := l.Apps[p.App].App
		if _, known := versions[p.App]; !known {
			versions[p.App] = version(&app)
		}
		t.rows = append(t.rows, []cell{
			{strconv.Itoa(p.ID), cyan}, {clean(p.Name), bold}, {clean(p.Namespace), plain}, {clean(versions[p.App]), plain}, {mode(p.Mode), modeColor(p.Mode)},
			{pid(p), plain}, {uptime(p, now), plain}, {strconv.Itoa(p.Restarts), plain}, {string(p.Status), statusColor(p.Status)},
			{percent(p.CPU), plain}, {size(p.Memory), plain}, {clean(user(&app)), bold}, {watching(&app), plain},
		})
	}
	if err := t.write(s); err != nil {
		return err
	}
	return footnotes(s, l)
}

// footnotes write the addresses of the apps, and their problems.
func footnotes(s Screen, l daemon.Listing) error {
	for _, key := range slices.Sorted(maps.Keys(l.Apps)) {
		a := l.Apps[key]
		if where := reached(&a); where != "" {
			if _, err := fmt.Fprintf(s, " %s %s\n", s.paint(bold, clean(a.App.Name)), where); err != nil {
				return err
			}
		}
		for _, problem := range a.Problems {
			if _, err := fmt.Fprintf(s, " %s\n", s.paint(red, clean(a.App.Name+": "+strings.TrimPrefix(problem, a.App.Name+": ")))); err != nil {
				return err
			}
		}
	}
	for _, p := range l.Processes {
		if p.Status != daemon.Errored || p.Reason == "" {
			continue
		}
		if _, err := fmt.Fprintf(s, " %s\n", s.paint(red, clean(fmt.Sprintf("%s (%d): %s", p.Name, p.ID, p.Reason)))); err != nil {
			return err
		}
	}
	return nil
}

// reached returns the addresses of an app, and the range of its messages.
func reached(a *daemon.AppStatus) string {
	if len(a.Doors) == 0 {
		return ""
	}
	doors := make([]string, len(a.Doors))
	for i, door := range a.Doors { // an address on all interfaces is shown as its port
		doors[i] = strings.TrimPrefix(strings.TrimPrefix(clean(door), "[::]"), "0.0.0.0")
	}
	text := "on " + strings.Join(doors, ", ")
	switch a.Redis {
	case "":
	case "embedded":
		text += ", this host only: no Redis is set"
	default:
		text += ", all hosts of " + clean(a.Redis)
	}
	return text
}

func pid(p *daemon.Process) string {
	if p.PID == 0 {
		return "0"
	}
	return strconv.Itoa(p.PID)
}

// user returns the user that an app runs as. By default it is the daemon's user, who also runs
// the commands.
func user(a *pm2.App) string {
	return cmp.Or(a.UID, a.Env["USER"], me())
}

var me = sync.OnceValue(func() string {
	u, err := osuser.Current()
	if err != nil {
		return ""
	}
	return u.Username
})

func watching(a *pm2.App) string {
	if len(a.Watch) > 0 {
		return "enabled"
	}
	return "disabled"
}

func modeColor(m pm2.ExecMode) color {
	if m == pm2.Cluster {
		return blue
	}
	return plain
}
