package processview

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// Top is a page with the busiest hosts, processes, namespaces, rooms or clients.
type Top struct {
	By      string // of TopViews
	Sort    string // of TopSorts
	Rows    []TopRow
	More    int    // rows that exist and aren't here
	First   int    // the row at the top of the page
	Total   TopRow // of all processes
	Problem string // why rows may be missing
	Message string // at the bottom
}

// TopRow is one line of a Top. What a kind of rows lacks is zero.
type TopRow struct {
	Name      string  `json:"name"`
	Host      string  `json:"host,omitempty"`
	Role      string  `json:"role,omitempty"`
	State     string  `json:"state,omitempty"`
	Worker    string  `json:"worker,omitempty"` // the id of a worker, or of the worker of a client
	Namespace string  `json:"namespace,omitempty"`
	Address   string  `json:"address,omitempty"`
	Transport string  `json:"transport,omitempty"`
	Sessions  int     `json:"sessions"`
	Sockets   int     `json:"sockets"`
	Events    float64 `json:"events"` // in and out per second, as the following
	Bytes     float64 `json:"bytes"`
	Queue     int64   `json:"queue"`
	CPU       float64 `json:"cpu"` // cores
	Memory    int64   `json:"memory"`

	Connected time.Time `json:"connected,omitzero"` // of a client
}

// TopViews are the kinds of rows, in the order of their keys.
var TopViews = []string{"host", "process", "namespace", "room", "client"}

// TopSorts are what rows can be sorted by.
var TopSorts = []string{"sessions", "events", "bytes", "queue", "cpu", "memory", "name"}

// HasTopSort reports whether rows of a kind can be sorted so.
func HasTopSort(by, sort string) bool {
	switch by {
	case "namespace":
		return sort == "sessions" || sort == "events" || sort == "name"
	case "room":
		return sort == "sessions" || sort == "name"
	case "client":
		return sort == "sessions" || sort == "events" || sort == "queue"
	}
	return slices.Contains(TopSorts, sort)
}

// TopFacts are what a Source answered at one moment.
type TopFacts struct {
	At         time.Time
	Samples    []inspect.Sample
	Namespaces []inspect.Namespace
	Rooms      inspect.Page[inspect.Room]
	Clients    inspect.Page[inspect.Client]
}

// Fill makes the rows from the facts of now and of before, which rates need.
func (t *Top) Fill(now, before TopFacts) {
	seconds := now.At.Sub(before.At).Seconds()
	processes := processRows(now.Samples, before.Samples)
	t.Total = TopRow{}
	for _, r := range processes {
		t.Total.add(r)
	}
	t.More = 0
	switch t.By {
	case "host":
		t.Rows = hostRows(processes)
	case "namespace":
		t.Rows = namespaceRows(now.Namespaces, before.Namespaces, seconds)
	case "room":
		t.Rows, t.More = nil, now.Rooms.More
		for _, r := range now.Rooms.Rows {
			t.Rows = append(t.Rows, TopRow{Name: r.Name, Namespace: r.Namespace, Sockets: r.Sockets})
		}
	case "client":
		t.Rows, t.More = clientRows(now.Clients.Rows, before.Clients.Rows, seconds), now.Clients.More
	default:
		t.Rows = processes
	}
	t.sort()
}

// add sums up what rows of processes have.
func (r *TopRow) add(o TopRow) {
	r.Sessions += o.Sessions
	r.Sockets += o.Sockets
	r.Events += o.Events
	r.Bytes += o.Bytes
	r.Queue += o.Queue
	r.CPU += o.CPU
	r.Memory += o.Memory
}

func processRows(now, before []inspect.Sample) (rows []TopRow) {
	type key struct {
		host, name string
		pid        int
	}
	last := map[key]inspect.Sample{}
	for _, s := range before {
		last[key{s.Host, s.Name, s.PID}] = s
	}
	for _, s := range now {
		r := TopRow{Name: s.Name, Host: s.Host, Role: s.Role, State: s.State, Worker: s.Worker,
			Sessions: s.Sessions, Sockets: s.Sockets, Queue: s.QueueBytes, Memory: s.Memory}
		if l, ok := last[key{s.Host, s.Name, s.PID}]; ok {
			seconds := s.At.Sub(l.At).Seconds()
			r.Events = perSecond(s.EventsIn+s.EventsOut, l.EventsIn+l.EventsOut, seconds)
			r.Bytes = perSecond(s.BytesIn+s.BytesOut, l.BytesIn+l.BytesOut, seconds)
			r.CPU = perSecond(uint64(s.CPU), uint64(l.CPU), seconds) / float64(time.Second)
		}
		rows = append(rows, r)
	}
	return rows
}

func perSecond(now, before uint64, seconds float64) float64 {
	if now <= before || seconds <= 0 {
		return 0
	}
	return float64(now-before) / seconds
}

func hostRows(processes []TopRow) (rows []TopRow) {
	for _, p := range processes {
		i := slices.IndexFunc(rows, func(r TopRow) bool { return r.Name == p.Host })
		if i < 0 {
			i, rows = len(rows), append(rows, TopRow{Name: p.Host})
		}
		rows[i].add(p)
	}
	return rows
}

func namespaceRows(now, before []inspect.Namespace, seconds float64) (rows []TopRow) {
	last := map[string]uint64{}
	for _, n := range before {
		last[n.Name] = n.EventsIn + n.EventsOut
	}
	for _, n := range now {
		r := TopRow{Name: n.Name, Sockets: n.Sockets}
		if l, ok := last[n.Name]; ok {
			r.Events = perSecond(n.EventsIn+n.EventsOut, l, seconds)
		}
		rows = append(rows, r)
	}
	return rows
}

func clientRows(now, before []inspect.Client, seconds float64) (rows []TopRow) {
	last := map[string]uint64{}
	for _, c := range before {
		last[c.Socket] = c.EventsIn + c.EventsOut
	}
	for _, c := range now {
		r := TopRow{Name: c.Socket, Host: c.Process.Host, Worker: c.Process.Worker, Namespace: c.Namespace, Address: c.Address,
			Transport: c.Transport, Queue: c.Queue, Connected: c.Connected}
		if l, ok := last[c.Socket]; ok {
			r.Events = perSecond(c.EventsIn+c.EventsOut, l, seconds)
		}
		rows = append(rows, r)
	}
	return rows
}

// sort sorts the rows: the most first.
func (t *Top) sort() {
	if t.By == "client" && t.Sort == "sessions" {
		return // the newest come first
	}
	order := map[string]func(a, b TopRow) int{
		"sessions": func(a, b TopRow) int {
			return cmp.Or(cmp.Compare(b.Sessions, a.Sessions), cmp.Compare(b.Sockets, a.Sockets))
		},
		"events": func(a, b TopRow) int { return cmp.Compare(b.Events, a.Events) },
		"bytes":  func(a, b TopRow) int { return cmp.Compare(b.Bytes, a.Bytes) },
		"queue":  func(a, b TopRow) int { return cmp.Compare(b.Queue, a.Queue) },
		"cpu":    func(a, b TopRow) int { return cmp.Compare(b.CPU, a.CPU) },
		"memory": func(a, b TopRow) int { return cmp.Compare(b.Memory, a.Memory) },
		"name":   func(TopRow, TopRow) int { return 0 },
	}[t.Sort]
	slices.SortStableFunc(t.Rows, func(a, b TopRow) int {
		return cmp.Or(order(a, b), strings.Compare(a.Host, b.Host), strings.Compare(a.Name, b.Name))
	})
}

// Draw draws the page on the whole screen.
func (t *Top) Draw(s Screen) error {
	if s.Width == 0 || s.Height == 0 {
		s.Width, s.Height = usualWidth, usualHeight
	}
	const frame = 7 // lines beside rows: the sum, the table's borders and heads, how many more, the message
	room := max(1, s.Height-frame)
	t.First = max(0, min(t.First, len(t.Rows)-room))
	page, err := t.page(s, t.Rows[t.First:min(len(t.Rows), t.First+room)])
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	for len(lines) < s.Height-1 {
		lines = append(lines, "")
	}
	message := t.Message
	if t.Problem != "" {
		message = t.Problem
	}
	lines = append(lines, s.paint(gray, shorten(clean(message), s.Width)))
	return s.Draw([]byte(strings.Join(lines, "\n") + "\n"))
}

// Print writes the page once, with all rows.
func (t *Top) Print(s Screen) error {
	page, err := t.page(s, t.Rows)
	if err == nil {
		_, err = s.Write([]byte(page))
	}
	return err
}

func (t *Top) page(s Screen, rows []TopRow) (string, error) {
	var b bytes.Buffer
	to := Screen{Writer: &b, Width: s.Width, Color: s.Color}
	sum := fmt.Sprintf("%d sessions, %d sockets, %s events/s, %s/s, queue %s, cpu %s, mem %s",
		t.Total.Sessions, t.Total.Sockets, rate(t.Total.Events), size(int64(t.Total.Bytes)), size(t.Total.Queue), percent(round(100*t.Total.CPU)), size(t.Total.Memory))
	fmt.Fprintln(to, s.paint(bold, shorten(sum, screenColumns(s))))
	if err := t.table(rows).write(to); err != nil {
		return "", err
	}
	if more := t.More + len(t.Rows) - len(rows); more > 0 {
		fmt.Fprintln(to, s.paint(gray, fmt.Sprintf("… %d more", more)))
	}
	return b.String(), nil
}

// screenColumns is the width that texts are cut to.
func screenColumns(s Screen) int {
	if s.Width == 0 {
		return 1 << 16
	}
	return s.Width
}

// round rounds to one decimal.
func round(f float64) float64 { return float64(int(f*10+0.5)) / 10 }

// rate is a number of events each second.
func rate(f float64) string {
	if f >= 100 || f == 0 {
		return strconv.Itoa(int(f + 0.5))
	}
	return strconv.FormatFloat(f, 'f', 1, 64)
}

// table has the columns of the kind of rows.
func (t *Top) table(rows []TopRow) *table {
	number := func(n int) cell { return cell{strconv.Itoa(n), plain} }
	text := func(s string) cell { return cell{clean(s), plain} }
	all := []struct {
		column
		sort  string // that sorts by it
		views string
		cell  func(TopRow) cell
	}{
		{column{head: t.By, min: 8}, "name", "host process namespace room client", func(r TopRow) cell { return cell{clean(r.Name), bold} }},
		{column{head: "host", min: 6, rank: 3}, "", "process client", func(r TopRow) cell { return text(r.Host) }},
		{column{head: "role", rank: 6}, "", "process", func(r TopRow) cell { return text(r.Role) }},
		{column{head: "state", rank: 4}, "", "process", func(r TopRow) cell { return text(r.State) }},
		{column{head: "namespace", min: 6, rank: 2}, "", "room client", func(r TopRow) cell { return text(r.Namespace) }},
		{column{head: "address", min: 12, rank: 1}, "", "client", func(r TopRow) cell { return text(r.Address) }},
		{column{head: "transport", rank: 5}, "", "client", func(r TopRow) cell { return text(r.Transport) }},
		{column{head: "sessions"}, "sessions", "host process", func(r TopRow) cell { return number(r.Sessions) }},
		{column{head: "sockets", rank: 5}, "sessions", "host process namespace room", func(r TopRow) cell { return number(r.Sockets) }},
		{column{head: "events/s"}, "events", "host process namespace client", func(r TopRow) cell { return text(rate(r.Events)) }},
		{column{head: "bytes/s", rank: 2}, "bytes", "host process", func(r TopRow) cell { return text(size(int64(r.Bytes))) }},
		{column{head: "queue", rank: 1}, "queue", "host process client", func(r TopRow) cell { return text(size(r.Queue)) }},
		{column{head: "cpu"}, "cpu", "host process", func(r TopRow) cell { return text(percent(round(100 * r.CPU))) }},
		{column{head: "mem"}, "memory", "host process", func(r TopRow) cell { return text(size(r.Memory)) }},
	}
	out := &table{}
	for _, c := range all {
		if !slices.Contains(strings.Fields(c.views), t.By) {
			continue
		}
		if c.sort == t.Sort && !slices.ContainsFunc(out.columns, func(o column) bool { return strings.HasSuffix(o.head, "▾") }) {
			c.head += " ▾"
		}
		out.columns = append(out.columns, c.column)
	}
	for _, r := range rows {
		var line []cell
		for _, c := range all {
			if slices.Contains(strings.Fields(c.views), t.By) {
				line = append(line, c.cell(r))
			}
		}
		out.rows = append(out.rows, line)
	}
	return out
}
