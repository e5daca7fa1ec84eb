package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/guardian"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// runtimeCommand makes pm2-runtime: apps in the foreground of a container, with their lines on
// the output and not in files.
func runtimeCommand() *cobra.Command {
	s := &starter{}
	cmd := starting(&cobra.Command{
		Use: "runtime [start] <file | script | command>...", Short: "Run apps in the foreground of a container, as pm2-runtime does", Hidden: true,
		Args: takes(1, -1),
	}, s, func(ctx context.Context, targets, scriptArgs []string) error {
		if targets[0] == "start" && len(targets) > 1 {
			targets = targets[1:]
		}
		return s.inForeground(ctx, targets, scriptArgs, foreground{noFiles: true, idle: config.ExitUsage})
	})
	f := cmd.Flags()
	f.BoolVar(&s.raw, "raw", false, "print the lines without prefixes")
	for _, name := range []string{"format", "formatted", "auto-exit", "no-auto-exit"} {
		f.Bool(name, false, "accepted, and not used")
	}
	for _, name := range []string{"delay", "secret", "public", "machine-name", "web"} {
		f.String(name, "", "accepted, and not used")
	}
	return cmd
}

// foreground says how a daemon in the foreground differs from one in the background.
type foreground struct {
	noFiles bool
	idle    int // exit code when nothing runs any more
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
		if err != nil {
			return err
		}
		apps = append(apps, step.start.Apps...)
	}
	cfg, err := s.foregroundConfig(how)
	if err != nil {
		return err
	}
	cfg.Apps, cfg.Raw = apps, s.raw
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
	cfg.Output, cfg.NoFiles = os.Stdout, how.noFiles
	cfg.Prefix, cfg.Color = s.set.Format == "console" || how.noFiles && !s.json && !s.settings.Get("SIDEREAL_LOG_FORMAT").Set(), s.out.Color
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
