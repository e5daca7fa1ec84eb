package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/processview"
	"github.com/sidereal-io/sidereal/internal/terminal"
)

const (
	topEvery = 2 * time.Second // between two looks
	topRows  = 200             // of rooms and clients
)

func topCommand() *cobra.Command {
	var set config.Inspect
	t := &top{page: processview.Top{Message: topKeys}}
	var once, asJSON bool
	cmd := &cobra.Command{
		Use: "top", Short: "Show the busiest hosts, processes, namespaces, rooms or clients live", Args: takes(0, 0),
		Long: `Show the busiest hosts, processes, namespaces, rooms or clients of an app, on all hosts, and look again every two
seconds. The command asks through Redis. Without SIDEREAL_REDIS_URL it asks the host at SIDEREAL_ADMIN_ADDR.

Keys: 1 to 5 choose hosts, processes, namespaces, rooms or clients; s, e, b, u, c, m and n sort by sessions, events,
bytes, queue, CPU, memory or name; up and down move; q ends the view.

With --once the command looks twice, two seconds apart, prints the rows and ends. --json prints one JSON object for
each look: {at, by, sort, rows, more, incomplete}. Rates are per second, and cpu is in cores.`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			if err := t.check(); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return asking(ctx, set, func(ctx context.Context, source inspect.Source) error {
				t.source = source
				if once || asJSON {
					return t.print(ctx, cmd, once, asJSON)
				}
				return t.show(ctx)
			})
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().StringVar(&t.page.By, "by", "process", "rows: "+strings.Join(processview.TopViews, ", "))
	cmd.Flags().StringVar(&t.page.Sort, "sort", "sessions", "sort by "+strings.Join(processview.TopSorts, ", "))
	cmd.Flags().BoolVar(&once, "once", false, "print the rows once and end")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

const topKeys = "1 hosts  2 processes  3 namespaces  4 rooms  5 clients   sort: s e b u c m n   ↑ ↓ move   q quit"

// asking calls f with a source for all hosts of an app: through Redis, or through the host at the
// admin address if no Redis is set.
func asking(ctx context.Context, set config.Inspect, f func(context.Context, inspect.Source) error) (err error) {
	if set.RedisURL == "" {
		if config.IsOff(set.AdminAddr) {
			return errors.New("nobody to ask: set SIDEREAL_REDIS_URL, or SIDEREAL_ADMIN_ADDR of a running host")
		}
		remote := inspect.NewRemote("tcp", set.AdminAddr)
		defer remote.Close()
		if _, err := remote.Samples(ctx); err != nil {
			if refused := new(inspect.RefusalError); !errors.As(err, &refused) {
				return fmt.Errorf("SIDEREAL_REDIS_URL is not set, and no host answers at %s: %w", set.AdminAddr, err)
			}
			return err
		}
		return f(ctx, remote)
	}
	conn, err := set.Redis.Open(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	starting, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	if err := conn.Check(starting); err != nil {
		return set.Redis.Problem(err)
	}
	peers := inspect.NewPeers(inspect.PeersConfig{Conn: conn, App: set.App.App})
	ctx, stop := context.WithCancel(ctx)
	var parts errgroup.Group
	parts.Go(func() error { return conn.Run(ctx) })
	parts.Go(func() error { return peers.Run(ctx) })
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	if err := errors.Join(conn.Wait(starting), peers.Wait(starting)); err != nil {
		return set.Redis.Problem(err)
	}
	return f(ctx, peers)
}

// top is the view. Its goroutines send what they learn to show, which owns page.
type top struct {
	page   processview.Top
	source inspect.Source
	last   processview.TopFacts
}

func (t *top) check() error {
	switch {
	case !slices.Contains(processview.TopViews, t.page.By):
		return fmt.Errorf("--by must be one of %s", strings.Join(processview.TopViews, ", "))
	case !processview.HasTopSort(t.page.By, t.page.Sort):
		return fmt.Errorf("rows by %s can't be sorted by %q", t.page.By, t.page.Sort)
	}
	return nil
}

// topAnswer is what a Source answered for one kind of rows.
type topAnswer struct {
	by, sort string
	facts    processview.TopFacts
	err      error // of those that didn't answer
}

// look asks for what the rows of a kind need.
func (t *top) look(ctx context.Context, by, sort string) topAnswer {
	a := topAnswer{by: by, sort: sort}
	var err error
	a.facts.Samples, a.err = t.source.Samples(ctx)
	switch by {
	case "namespace":
		a.facts.Namespaces, err = t.source.Namespaces(ctx)
	case "room":
		q := inspect.Query{Limit: topRows, Sort: "sockets"}
		if sort == "name" {
			q.Sort = sort
		}
		a.facts.Rooms, err = t.source.Rooms(ctx, q)
	case "client":
		q := inspect.Query{Limit: topRows, Sort: sort}
		if sort == "sessions" {
			q.Sort = "connected"
		}
		a.facts.Clients, err = t.source.Clients(ctx, q)
	}
	a.facts.At, a.err = time.Now(), errors.Join(a.err, err)
	return a
}

// take fills the page with an answer.
func (t *top) take(a topAnswer) {
	if a.by != t.page.By || a.sort != t.page.Sort {
		return // the operator has chosen other rows meanwhile
	}
	t.page.Fill(a.facts, t.last)
	t.last, t.page.Problem = a.facts, ""
	if a.err != nil {
		t.page.Problem = strings.ReplaceAll(a.err.Error(), "\n", "; ")
	}
}

// print prints rows once, or JSON for each look until ctx ends.
func (t *top) print(ctx context.Context, cmd *cobra.Command, once, asJSON bool) error {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		a := t.look(ctx, t.page.By, t.page.Sort)
		if ctx.Err() != nil {
			return nil
		}
		if a.err != nil && len(a.facts.Samples) == 0 {
			return a.err
		}
		t.take(a)
		if n > 0 || !once { // the first look has no rates yet
			if err := t.printOnce(cmd, asJSON); err != nil || once {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *top) printOnce(cmd *cobra.Command, asJSON bool) error {
	if !asJSON {
		if t.page.Problem != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), t.page.Problem)
		}
		return t.page.Print(processview.Screen{Writer: cmd.OutOrStdout()})
	}
	rows := t.page.Rows
	if rows == nil {
		rows = []processview.TopRow{}
	}
	return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
		At         time.Time            `json:"at"`
		By         string               `json:"by"`
		Sort       string               `json:"sort"`
		Rows       []processview.TopRow `json:"rows"`
		More       int                  `json:"more"`
		Incomplete string               `json:"incomplete,omitempty"`
	}{t.last.At, t.page.By, t.page.Sort, rows, t.page.More, t.page.Problem})
}

var errNoTopTerminal = errors.New("top needs a terminal: `sidereal top --once` prints the same")

// show shows the view on the terminal until the operator ends it.
func (t *top) show(ctx context.Context) error {
	if !config.Terminal(os.Stdout) {
		return errNoTopTerminal
	}
	keyboard, err := terminal.Open(os.Stdin)
	if errors.Is(err, terminal.ErrNone) {
		return errNoTopTerminal
	}
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stdout, processview.OpenScreen)
	err = t.follow(ctx, keyboard)
	fmt.Fprint(os.Stdout, processview.CloseScreen)
	return errors.Join(err, keyboard.Close())
}

func (t *top) follow(ctx context.Context, keyboard *terminal.Keyboard) error {
	ctx, stop := context.WithCancel(ctx)
	var parts errgroup.Group
	keys, asked, answers := make(chan terminal.Key), make(chan topAnswer), make(chan topAnswer)
	parts.Go(func() error {
		defer stop() // the terminal has gone
		return keyboard.Read(ctx, func(k terminal.Key) { send(ctx, keys, k) })
	})
	parts.Go(func() error {
		for {
			select {
			case what := <-asked:
				send(ctx, answers, t.look(ctx, what.by, what.sort))
			case <-ctx.Done():
				return nil
			}
		}
	})
	err := t.draw(ctx, keys, asked, answers)
	stop()
	return errors.Join(err, parts.Wait())
}

// draw draws the page after each answer and each key.
func (t *top) draw(ctx context.Context, keys <-chan terminal.Key, asked chan<- topAnswer, answers <-chan topAnswer) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	color := config.Color(os.Stdout)
	ask := asked // nil while an answer is due, or not yet
	for {
		if err := t.page.Draw(processview.ScreenOf(os.Stdout, color)); err != nil {
			return err
		}
		select {
		case ask <- topAnswer{by: t.page.By, sort: t.page.Sort}:
			ask = nil
		case <-tick.C:
			ask = asked
		case a := <-answers:
			t.take(a)
		case k := <-keys:
			if k == 'q' || k == 'Q' {
				return nil
			}
			if t.press(k) {
				ask = asked
			}
		case <-resized:
		case <-ctx.Done():
			return nil
		}
	}
}

// topSortKeys are what keys sort by.
var topSortKeys = map[terminal.Key]string{'s': "sessions", 'e': "events", 'b': "bytes", 'u': "queue", 'c': "cpu", 'm': "memory", 'n': "name"}

// press does what a key asks for. It returns true if other rows are wanted now.
func (t *top) press(k terminal.Key) (other bool) {
	sort, sorts := topSortKeys[k]
	switch {
	case k >= '1' && int(k-'1') < len(processview.TopViews):
		t.page.By = processview.TopViews[k-'1']
		t.page.Rows, t.page.More, t.page.First = nil, 0, 0
		if !processview.HasTopSort(t.page.By, t.page.Sort) {
			t.page.Sort = "sessions"
		}
		t.last.Namespaces, t.last.Clients.Rows = nil, nil
		return true
	case sorts && processview.HasTopSort(t.page.By, sort):
		t.page.Sort = sort
		return true
	case k == terminal.Up, k == 'k':
		t.page.First--
	case k == terminal.Down, k == 'j':
		t.page.First++
	case k == terminal.PageUp:
		t.page.First -= 10
	case k == terminal.PageDown:
		t.page.First += 10
	case k == terminal.Home:
		t.page.First = 0
	case k == terminal.End:
		t.page.First = len(t.page.Rows)
	}
	return false
}
