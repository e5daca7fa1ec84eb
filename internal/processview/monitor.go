package processview

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

// Monitor is a page with all processes, and details of the selected one.
type Monitor struct {
	Listing  daemon.Listing
	Selected int              // among Listing.Processes
	Lines    []daemon.LogLine // the last ones of the selected process
	Message  string           // at the bottom
}

// The size of a terminal that doesn't say its size.
const (
	usualWidth  = 80
	usualHeight = 24
)

// Draw draws the page on the whole screen.
func (m *Monitor) Draw(s Screen, now time.Time) error {
	if s.Width == 0 || s.Height == 0 {
		s.Width, s.Height = usualWidth, usualHeight
	}
	head, err := m.top(s, now)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	room := max(0, s.Height-len(lines)-2)
	lines = append(lines, s.paint(bold, shorten("── logs "+strings.Repeat("─", s.Width), s.Width)))
	logs := m.logs(s)
	logs = logs[max(0, len(logs)-room):]
	lines = append(lines, logs...)
	for range room - len(logs) {
		lines = append(lines, "")
	}
	lines = append(lines, s.paint(gray, shorten(clean(m.Message), s.Width)))
	lines = lines[max(0, len(lines)-s.Height):]
	return s.Draw([]byte(strings.Join(lines, "\n") + "\n"))
}

// top returns the part above the logs: sums, the table, and the selected process.
func (m *Monitor) top(s Screen, now time.Time) (string, error) {
	var b bytes.Buffer
	page := Screen{Writer: &b, Width: s.Width, Color: s.Color}
	online, cpu, memory := 0, 0.0, int64(0)
	for _, p := range m.Listing.Processes {
		if p.Status == daemon.Online {
			online++
		}
		cpu, memory = cpu+p.CPU, memory+p.Memory
	}
	sum := fmt.Sprintf("%d processes, %d online, cpu %.1f%%, mem %s", len(m.Listing.Processes), online, cpu, size(memory))
	fmt.Fprintln(page, s.paint(bold, shorten(sum, s.Width)))
	if err := m.table(s.Height, now).write(page); err != nil {
		return "", err
	}
	for _, line := range m.details(now) {
		fmt.Fprintln(page, shorten(clean(line), s.Width))
	}
	return b.String(), nil
}

// table has the processes around the selected one, on at most half of the screen.
func (m *Monitor) table(height int, now time.Time) *table {
	t := &table{columns: []column{
		{head: ""}, {head: "id"}, {head: "name", min: 10}, {head: "status"}, {head: "cpu"}, {head: "mem"}, {head: "↺", rank: 2}, {head: "uptime", rank: 3},
		{head: "mode", rank: 5}, {head: "pid", rank: 4}, {head: "namespace", rank: 6, min: 8},
	}}
	all := m.Listing.Processes
	rows := min(len(all), max(1, height/2-4))
	first := max(0, min(m.Selected-rows/2, len(all)-rows))
	for i := first; i < first+rows; i++ {
		p := &all[i]
		mark, name := " ", plain
		if i == m.Selected {
			mark, name = "›", bold
		}
		t.rows = append(t.rows, []cell{
			{mark, bold}, {strconv.Itoa(p.ID), cyan}, {clean(p.Name), name}, {string(p.Status), statusColor(p.Status)}, {percent(p.CPU), plain}, {size(p.Memory), plain},
			{strconv.Itoa(p.Restarts), plain}, {uptime(p, now), plain}, {mode(p.Mode), modeColor(p.Mode)}, {pid(p), plain}, {clean(p.Namespace), plain},
		})
	}
	return t
}

// details describe the selected process.
func (m *Monitor) details(now time.Time) []string {
	if m.Selected >= len(m.Listing.Processes) {
		return []string{"nothing runs yet"}
	}
	p := &m.Listing.Processes[m.Selected]
	text := fmt.Sprintf("%s (%d): pid %s, up %s, %d restarts, %d unstable", p.Name, p.ID, pid(p), uptime(p, now), p.Restarts, p.Unstable)
	if app, ok := m.Listing.Apps[p.App]; ok {
		if where := reached(&app); where != "" {
			text += ", " + where
		}
	}
	if p.Reason != "" {
		text += ", " + p.Reason
	}
	return []string{text}
}

func (m *Monitor) logs(s Screen) (lines []string) {
	for _, l := range m.Lines {
		c := plain
		if l.Stream == "err" {
			c = red
		}
		lines = append(lines, s.paint(c, shorten(clean(strings.ReplaceAll(l.Text, "\t", "    ")), s.Width)))
	}
	return lines
}
