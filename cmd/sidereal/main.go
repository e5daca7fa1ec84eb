// Command sidereal runs Socket.IO on many processes and hosts. `sidereal up` is one host in the
// foreground; the other commands are its parts, and ways to look at them. This package only wires;
// docs/configuration.md lists the settings.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/buildinfo"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// beginnings are the examples that the help without a command shows.
const beginnings = `  sidereal start server.js -i max     run a Node app on all cores, in the background
  sidereal up ./chat                  run a Go app on all cores, in the foreground
  sidereal up                         run the demo on http://localhost:8080`

func main() { os.Exit(execute(arguments(calledAs(), os.Args[1:]))) }

// execute runs a command line and returns the exit code.
func execute(args []string) int {
	running := false // past flags and arguments
	root := &cobra.Command{
		Use:              calledAs(),
		Short:            "Socket.IO on many processes and hosts",
		Example:          beginnings,
		Version:          versionLine(),
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { running = true },
		Args:             knownCommand, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	addCommands(root)
	root.SetVersionTemplate("{{.Version}}")
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
	root.SetArgs(rearranged(root, args))
	cmd, err := root.ExecuteC()
	var code exitCode
	switch {
	case err == nil:
		return config.ExitDone
	case errors.As(err, &code): // the operator has seen the reason
		return int(code)
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(os.Stderr, calledAs()+": "+line)
	}
	var usage usageError
	if !running || errors.As(err, &usage) {
		fmt.Fprintf(os.Stderr, "%s: see %s --help\n", calledAs(), cmd.CommandPath())
		return config.ExitUsage
	}
	return exitCodeOf(err)
}

// exitCodeOf returns the exit code for an error: the daemon's, or wrong usage for a wrong process
// file.
func exitCodeOf(err error) int {
	var failure *daemon.Failure
	var field *pm2.FieldError
	var syntax *pm2.SyntaxError
	switch {
	case errors.As(err, &failure):
		return failure.ExitCode()
	case errors.As(err, &field), errors.As(err, &syntax):
		return config.ExitUsage
	}
	return config.ExitCode(err)
}

// exitCode is an error that the operator has already seen.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is an invalid command line.
type usageError string

func (u usageError) Error() string { return string(u) }

// load reads the settings of a command from its flags and the environment.
func load(cmd *cobra.Command, dst any) (*config.Settings, error) {
	return config.Load(dst, config.Source{Environ: os.Environ(), Flags: cmd.Flags(), Terminal: config.Terminal(os.Stderr)})
}

// logger makes a command's logger and logs the warnings of its settings.
func logger(set config.Log, settings *config.Settings, host, process string) *slog.Logger {
	log := set.Logger(os.Stderr, config.Color(os.Stderr), host, process)
	for _, w := range settings.Warnings {
		log.Warn(w)
	}
	return log
}

// childLogger makes the logger of a process whose supervisor has already logged the warnings.
func childLogger(set config.Log, host, process string) *slog.Logger {
	return set.Logger(os.Stderr, config.Color(os.Stderr), host, process)
}

// untilSignal returns the context of a command, which ends with the first SIGTERM or SIGINT.
// Further signals call again.
func untilSignal(again func()) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(context.Background())
	lifeline.OnSignals(context.Background(), stop, again)
	return ctx, stop
}

// exitAtOnce handles the second signal to a process without children.
func exitAtOnce() { os.Exit(config.ExitFailed) }

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and date", Args: takes(0, 0),
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprint(cmd.OutOrStdout(), versionLine())
		},
	}
}

// versionLine returns name and version; for callers by the name pm2 only the version, which
// scripts read.
func versionLine() string {
	built := buildinfo.Read()
	if calledPM2() {
		return built.Version + "\n"
	}
	return fmt.Sprintf("sidereal %s %s %s/%s\n", built, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
