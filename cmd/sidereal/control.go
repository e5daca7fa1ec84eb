package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/processview"
)

// control is the part that commands share that talk to a daemon.
type control struct {
	set    config.Control
	silent bool
	json   bool
	plain  bool // --no-color

	out, err processview.Screen
	home     daemon.Home
}

// errNothingRuns is ErrNotRunning in words for people.
var errNothingRuns = errors.New("no daemon is running: start an app first, with `sidereal start`")

// talkCommand makes a command that talks to the running daemon.
func talkCommand(cmd *cobra.Command, run func(context.Context, *control, []string) error) *cobra.Command {
	c := &control{}
	config.AddFlags(cmd.Flags(), &c.set)
	c.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		settings, err := load(cmd, &c.set)
		if err != nil {
			return err
		}
		if err := c.open(settings, c.set.Home); err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx, c, args)
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = completeTargets
	}
	return cmd
}

func (c *control) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&c.silent, "silent", "s", false, "print only errors")
	cmd.Flags().BoolVar(&c.plain, "no-color", false, "print without colors on a terminal too")
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON")
}

// open finds the screen and the home folder.
func (c *control) open(settings *config.Settings, home config.Home) (err error) {
	c.out = processview.ScreenOf(os.Stdout, config.Color(os.Stdout) && !c.plain)
	c.err = processview.ScreenOf(os.Stderr, config.Color(os.Stderr) && !c.plain)
	for _, w := range settings.Warnings {
		c.warn(w)
	}
	c.home, err = daemon.OpenHome(homeFolder(home))
	if err != nil {
		return usageError(err.Error())
	}
	return nil
}

// homeFolder returns the daemon's folder. For callers by the name pm2 it may be PM2's variable.
func homeFolder(set config.Home) string {
	if set.Home == "" && calledPM2() {
		return os.Getenv("PM2_HOME")
	}
	return set.Home
}

func (c *control) warn(text string) { fmt.Fprintf(c.err, "%s: %s\n", calledAs(), text) }

func (c *control) say(format string, args ...any) {
	if !c.silent {
		fmt.Fprintf(c.out, format+"\n", args...)
	}
}

// connect finds the running daemon.
func (c *control) connect(ctx context.Context) (*daemon.Client, error) {
	client, err := daemon.Connect(ctx, c.home)
	if errors.Is(err, daemon.ErrNotRunning) {
		return nil, errNothingRuns
	}
	return client, err
}

// listing returns the daemon's list, empty without a daemon.
func (c *control) listing(ctx context.Context) (daemon.Listing, error) {
	client, err := daemon.Connect(ctx, c.home)
	if errors.Is(err, daemon.ErrNotRunning) {
		return daemon.Listing{}, nil
	}
	if err != nil {
		return daemon.Listing{}, err
	}
	defer client.Close()
	return client.List(ctx)
}

// find returns the processes that targets name; each target must name one.
func (c *control) find(ctx context.Context, targets []string) (daemon.Listing, []daemon.Process, error) {
	l, found, missing, err := c.look(ctx, targets)
	if err == nil && len(missing) > 0 {
		err = c.notFound(missing[0])
	}
	return l, found, err
}

// look returns the processes that targets name, and the targets that name none.
func (c *control) look(ctx context.Context, targets []string) (l daemon.Listing, found []daemon.Process, missing []string, err error) {
	if l, err = c.listing(ctx); err != nil {
		return l, nil, nil, err
	}
	for _, t := range targets {
		some, err := l.Find(t)
		if err != nil {
			return l, nil, nil, err
		}
		if len(some) == 0 {
			missing = append(missing, t)
		}
		for _, p := range some {
			if !slices.ContainsFunc(found, func(q daemon.Process) bool { return q.ID == p.ID }) {
				found = append(found, p)
			}
		}
	}
	return l, found, missing, nil
}

// known returns the targets that name processes, and warns of the others: there is nothing to do for
// them, and a deploy script goes on, as with PM2.
func (c *control) known(ctx context.Context, targets []string) ([]string, error) {
	_, _, missing, err := c.look(ctx, targets)
	for _, t := range missing {
		c.warn(c.notFound(t).Error())
	}
	return slices.DeleteFunc(slices.Clone(targets), func(t string) bool { return slices.Contains(missing, t) }), err
}

func (c *control) notFound(target string) error {
	return fmt.Errorf("no process, name or namespace %s: see `%s list`", target, calledAs())
}

// happened returns the function that prints a command's events. With --json they aren't part of
// the output.
func (c *control) happened() func(daemon.Event) {
	p := processview.Progress{Out: c.out, Err: c.err, Silent: c.silent}
	if c.json {
		p.Out = c.err
	}
	return p.Happened
}

// show prints the list after a command that changed it.
func (c *control) show(ctx context.Context, client *daemon.Client) error {
	if c.silent {
		return nil
	}
	l, err := client.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return processview.JList(c.out, l)
	}
	return processview.List(c.out, l, time.Now())
}

// act runs an action and shows the result.
func (c *control) act(ctx context.Context, a daemon.Action) error {
	client, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	begun, tell := false, c.happened()
	err = client.Act(ctx, a, func(e daemon.Event) {
		begun = true
		tell(e)
	})
	if err != nil && !begun {
		return err
	}
	if shown := c.show(ctx, client); err == nil {
		err = shown
	}
	return err
}

// completeTargets completes ids, names and namespaces.
func completeTargets(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	var set config.Control
	if _, err := load(cmd, &set); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c := control{}
	var err error
	if c.home, err = daemon.OpenHome(homeFolder(set.Home)); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	l, err := c.listing(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return processview.Targets(l), cobra.ShellCompDirectiveNoFileComp
}

const completionTimeout = time.Second

// environ returns the environment that apps inherit: this process's own, without the variables
// that a supervisor above set for it alone.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return config.ForChild(name)
	})
}

// newLoader reads process files for this command.
func (c *control) newLoader() (*pm2.Loader, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &pm2.Loader{
		Dir: dir, Environ: environ(), Program: self, Logs: c.home.Logs(), Argv: os.Args[1:], Output: os.Stderr,
	}, nil
}

// calledAs returns the name by which this program was called.
func calledAs() string { return filepath.Base(os.Args[0]) }

// calledPM2 reports whether we stand in for PM2.
func calledPM2() bool {
	switch calledAs() {
	case "pm2", "pm2-runtime", "pm2-docker":
		return true
	}
	return false
}
