package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/processview"
	"github.com/sidereal-io/sidereal/internal/terminal"
)

func monitCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "monit", Aliases: []string{"imonit", "dashboard", "dash"}, Short: "Show processes and their logs live", Args: takes(0, 0),
		Long: `Show processes, and the logs of the selected one, live on a terminal.

Keys: up and down select a process, r restarts it, l reloads it, s stops it, q ends the view. The commands ask first.`,
	}, func(ctx context.Context, c *control, _ []string) error {
		if !config.Terminal(os.Stdout) {
			return errNoTerminal
		}
		client, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		keyboard, err := terminal.Open(os.Stdin)
		if errors.Is(err, terminal.ErrNone) {
			return errNoTerminal
		}
		if err != nil {
			return err
		}
		fmt.Fprint(c.out, processview.OpenScreen)
		err = newMonitor(c, client).run(ctx, keyboard)
		fmt.Fprint(c.out, processview.CloseScreen)
		return errors.Join(err, keyboard.Close())
	})
}

var errNoTerminal = errors.New("monit needs a terminal: `sidereal list`, `sidereal describe` and `sidereal logs` print the same")

// monitor is the live view. Its goroutines send what they learn to run, which owns the fields.
type monitor struct {
	control *control
	client  *daemon.Client
	page    processview.Monitor
	id      int                      // of the selected process
	lines   map[int][]daemon.LogLine // the last lines, by process
	asked   daemon.Verb              // waits for the operator's yes; empty: none

	keys  chan terminal.Key
	lists chan daemon.Listing
	logs  chan daemon.LogLine
	told  chan string // how commands ended
}

func newMonitor(c *control, client *daemon.Client) *monitor {
	return &monitor{
		control: c, client: client, id: -1, lines: map[int][]daemon.LogLine{}, page: processview.Monitor{Message: monitKeys},
		keys: make(chan terminal.Key), lists: make(chan daemon.Listing), logs: make(chan daemon.LogLine), told: make(chan string),
	}
}

const (
	monitKeys  = "↑ ↓ select   r restart   l reload   s stop   q quit"
	monitLines = 200  // lines that the view keeps of each process
	monitWidth = 1000 // bytes that it keeps of each line
	drawEvery  = 100 * time.Millisecond
)

// run shows the view until the operator ends it, or the daemon ends.
func (m *monitor) run(ctx context.Context, keyboard *terminal.Keyboard) error {
	l, err := m.client.List(ctx)
	if err != nil {
		return err
	}
	m.list(l)
	ctx, stop := context.WithCancel(ctx)
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error {
		defer stop() // the terminal has gone
		return keyboard.Read(ctx, func(k terminal.Key) { send(ctx, m.keys, k) })
	})
	parts.Go(func() error { return m.look(ctx) })
	parts.Go(func() error {
		return m.client.Logs(ctx, daemon.LogRequest{Lines: 50, Follow: true}, func(l daemon.LogLine) error {
			send(ctx, m.logs, l)
			return nil
		})
	})
	err = m.show(ctx, parts)
	stop()
	return errors.Join(err, parts.Wait())
}

// send sends v, unless ctx ends before.
func send[T any](ctx context.Context, to chan<- T, v T) {
	select {
	case to <- v:
	case <-ctx.Done():
	}
}

// look asks for the list again and again.
func (m *monitor) look(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		l, err := m.client.List(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the daemon has ended: %w", err)
		}
		send(ctx, m.lists, l)
	}
}

// show draws the page after each change, but not more often than drawEvery, and at once after a
// key.
func (m *monitor) show(ctx context.Context, parts *errgroup.Group) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	now := true
	changed := false
	for {
		if now {
			screen := processview.ScreenOf(os.Stdout, m.control.out.Color)
			if err := m.page.Draw(screen, time.Now()); err != nil {
				return err
			}
			now, changed = false, false
		}
		select {
		case k := <-m.keys:
			if k == 'q' || k == 'Q' {
				return nil
			}
			m.press(ctx, parts, k)
			now = true
		case l := <-m.lists:
			m.list(l)
			changed = true
		case l := <-m.logs:
			m.line(l)
			changed = changed || l.ID == m.id
		case m.page.Message = <-m.told:
			now = true
		case <-resized:
			now = true
		case <-tick.C:
			now = changed
		case <-ctx.Done():
			return nil
		}
	}
}

// list takes a new list. The selection stays with its process.
func (m *monitor) list(l daemon.Listing) {
	m.page.Listing = l
	at := slices.IndexFunc(l.Processes, func(p daemon.Process) bool { return p.ID == m.id })
	if at < 0 {
		at = max(0, min(m.page.Selected, len(l.Processes)-1))
	}
	m.choose(at)
	for id := range m.lines {
		if !slices.ContainsFunc(l.Processes, func(p daemon.Process) bool { return p.ID == id }) {
			delete(m.lines, id)
		}
	}
}

// line keeps a line of a process in the list.
func (m *monitor) line(l daemon.LogLine) {
	if !slices.ContainsFunc(m.page.Listing.Processes, func(p daemon.Process) bool { return p.ID == l.ID }) {
		return
	}
	l.Text = l.Text[:min(len(l.Text), monitWidth)]
	lines := append(m.lines[l.ID], l)
	m.lines[l.ID] = lines[max(0, len(lines)-monitLines):]
	if l.ID == m.id {
		m.page.Lines = m.lines[l.ID]
	}
}

// choose selects a process by its place in the list.
func (m *monitor) choose(at int) {
	all := m.page.Listing.Processes
	at = max(0, min(at, len(all)-1))
	m.page.Selected, m.id = at, -1
	if at < len(all) {
		m.id = all[at].ID
	}
	m.page.Lines = m.lines[m.id]
}

// monitVerbs are the commands by their keys.
var monitVerbs = map[terminal.Key]daemon.Verb{'r': daemon.Restart, 'l': daemon.Reload, 's': daemon.Stop}

// press does what a key asks for.
func (m *monitor) press(ctx context.Context, parts *errgroup.Group, k terminal.Key) {
	verb, id := m.asked, m.id
	m.asked, m.page.Message = "", monitKeys
	switch k {
	case terminal.Up, 'k':
		m.choose(m.page.Selected - 1)
	case terminal.Down, 'j':
		m.choose(m.page.Selected + 1)
	case terminal.Home:
		m.choose(0)
	case terminal.End:
		m.choose(len(m.page.Listing.Processes) - 1)
	case 'y', 'Y':
		if verb != "" {
			m.page.Message = string(verb) + " …"
			parts.Go(func() error {
				m.act(ctx, verb, id)
				return nil
			})
		}
	default:
		if verb, ok := monitVerbs[k]; ok && m.id >= 0 {
			m.asked = verb
			m.page.Message = fmt.Sprintf("%s %s (%d)? y or n", verb, m.page.Listing.Processes[m.page.Selected].Name, m.id)
		}
	}
}

// act carries a command out and tells how it ended.
func (m *monitor) act(ctx context.Context, verb daemon.Verb, id int) {
	text := fmt.Sprintf("%s %d: done", verb, id)
	if err := m.client.Act(ctx, daemon.Action{Verb: verb, Targets: []string{strconv.Itoa(id)}}, func(daemon.Event) {}); err != nil {
		text = fmt.Sprintf("%s %d: %v", verb, id, err)
	}
	send(ctx, m.told, text)
}
