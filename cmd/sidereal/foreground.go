package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/guardian"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/processview"
)

// runtimeCommand makes pm2-runtime: apps in the foreground of a container, with their lines on
// the output and not in files.
func runtimeCommand() *cobra.Command {
	s := &starter{}
	var view processview.Logs
	var formatted, stay bool
	delay := 0.0
	cmd := starting(&cobra.Command{
		Use: "runtime [start] <file | script | command>...", Short: "Run apps in the foreground of a container, as pm2-runtime does", Hidden: true,
		Args: takes(1, -1),
	}, s, func(ctx context.Context, targets, scriptArgs []string) error {
		if targets[0] == "start" && len(targets) > 1 {
			targets = targets[1:]
		}
		wait := time.NewTimer(time.Duration(delay * float64(time.Second)))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return nil
		}
		view.JSON, view.Raw = s.json, !formatted
		return s.inForeground(ctx, targets, scriptArgs, foreground{noFiles: true, idle: config.ExitUsage, lines: s.printer(view), stay: stay})
	})
	f := cmd.Flags()
	f.Bool("raw", true, "print the lines without prefixes, those of stderr to stderr")
	f.BoolVar(&view.Pairs, "format", false, "print pairs of key=value")
	f.BoolVar(&formatted, "formatted", false, "print lines with the process before them")
	f.StringVar(&view.Timestamp, "timestamp", "", "put a date before formatted lines, in this `format` of day.js")
	f.BoolVar(&stay, "no-auto-exit", false, "stay when nothing runs any more")
	f.Float64Var(&delay, "delay", 0, "wait these `seconds` before the start")
	f.Bool("auto-exit", false, "accepted, and not used")
	for _, name := range []string{"secret", "public", "machine-name", "web"} {
		f.String(name, "", "accepted, and not used")
	}
	return cmd
}

// foreground says how a daemon in the foreground differs from one in the background.
type foreground struct {
	noFiles bool
	idle    int                  // exit code when nothing runs any more
	stay    bool                 // nothing runs any more, and it doesn't matter
	lines   func(daemon.LogLine) // gets the apps' lines; nil: the output does, with the names of their processes
}

// printer returns a function that prints apps' lines as pm2-runtime does: raw ones where they came
// from, all others on the output.
func (s *starter) printer(view processview.Logs) func(daemon.LogLine) {
	out, trouble := view, view
	out.Screen, trouble.Screen = s.out, s.out
	if view.Raw && !view.JSON && !view.Pairs {
		trouble.Writer = os.Stderr
	}
	var mu sync.Mutex // one line at a time
	return func(l daemon.LogLine) {
		mu.Lock()
		defer mu.Unlock()
		if l.Stream == "err" {
			_ = trouble.Line(l) // who does not read misses them
			return
		}
		_ = out.Line(l)
	}
}

// inForeground runs the targets in the foreground until a signal stops it, or none of them runs
// any more.
func (s *starter) inForeground(ctx context.Context, targets, scriptArgs []string, how foreground) error {
	if guardian.Needed() {
		return guard()
	}
	targets, err := orEcosystem(targets)
	if err != nil {
		return err
	}
	apps := []pm2.App{}
	for _, t := range targets {
		step, err := s.resolve(ctx, daemon.Listing{}, t, scriptArgs, daemon.StartNew)
		if err == nil {
			err = errors.Join(step.missing...) // who starts a container expects all of its apps
		}
		if err != nil {
			return err
		}
		apps = append(apps, step.start.Apps...)
	}
	cfg, err := s.foregroundConfig(how)
	if err != nil {
		return err
	}
	cfg.Apps, cfg.Lines, cfg.Stay = apps, how.lines, how.stay
	return s.serve(cfg, how)
}

// resurrectInForeground runs the saved list in this process, for an init system.
func (s *starter) resurrectInForeground() error {
	if guardian.Needed() {
		return guard()
	}
	cfg, err := s.foregroundConfig(foreground{})
	if err != nil {
		return err
	}
	cfg.Resurrect, cfg.Happened = true, s.happened()
	return s.serve(cfg, foreground{})
}

// foregroundConfig returns the configuration of this process's daemon.
func (s *starter) foregroundConfig(how foreground) (daemon.Config, error) {
	s.set.Home.Home = string(s.home)
	s.settings.Warnings = nil // the operator has seen them
	cfg, err := daemonConfig(s.set, s.settings)
	if cfg.NoFiles = how.noFiles; how.lines == nil {
		cfg.Output = os.Stdout
	}
	cfg.Prefix, cfg.Color = s.set.Format == "console", s.out.Color
	return cfg, err
}

// serve runs the daemon in this process until a signal stops it, or nothing runs any more.
func (s *starter) serve(cfg daemon.Config, how foreground) error {
	err := runGuarded(cfg)
	switch {
	case errors.Is(err, daemon.ErrRunning):
		return fmt.Errorf("a daemon is already running in %s: end it with `%s kill`, or set another SIDEREAL_HOME", s.home, calledAs())
	case errors.Is(err, daemon.ErrIdle):
		s.warn("nothing is left that runs")
		return exitCode(how.idle)
	}
	return err
}

// orEcosystem returns targets, or the process file of this folder if there are none.
func orEcosystem(targets []string) ([]string, error) {
	if len(targets) > 0 {
		return targets, nil
	}
	file, err := ecosystemHere()
	return []string{file}, err
}

// upOrStart sends `up` with process files or scripts to the daemon in the foreground. Any other
// argument is a program whose flags are its own.
func upOrStart(root *cobra.Command, args []string) []string {
	start, _, err := root.Find([]string{"start"})
	if err != nil {
		return args
	}
	rest := pm2.Rearrange(args[1:], start.Flags())
	if at := slices.IndexFunc(rest, func(arg string) bool { return arg == "-" || !strings.HasPrefix(arg, "-") }); at >= 0 && isFileOrScript(rest[at]) {
		return append([]string{"start", "--no-daemon"}, rest...)
	}
	return args
}

// isFileOrScript reports whether a target needs more than to be executed.
func isFileOrScript(target string) bool {
	if isFile(target) || strings.Contains(target, " ") {
		return true
	}
	info, err := os.Stat(target)
	if err != nil || !info.Mode().IsRegular() {
		return err == nil && info.IsDir()
	}
	return info.Mode()&0o111 == 0 || slices.Contains([]string{".js", ".cjs", ".mjs", ".ts"}, filepath.Ext(target))
}
