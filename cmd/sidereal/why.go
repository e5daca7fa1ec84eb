package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/why"
)

func whyCommand() *cobra.Command {
	var set config.Inspect
	var asJSON bool
	cmd := &cobra.Command{
		Use: "why <sid | socket id | address>", Short: "Say why a client was disconnected or refused, and what to do about it", Args: takes(1, 1),
		Long: `Say why a client was disconnected or refused, and what to do about it. The command asks all processes of the host at
SIDEREAL_ADMIN_ADDR. Each keeps the last 2,048 sessions that ended there, and each router its last decisions. The
begin of an id is enough, from 4 characters on. A client that was refused before it had a session is found by its
address. The exit code is 1 if nobody knows the id.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			source, done, err := asked(set)
			if err != nil {
				return err
			}
			defer done()
			ctx, cancel := context.WithTimeout(context.Background(), inspectTimeout)
			defer cancel()
			facts, err := why.Gather(ctx, source, args[0])
			if err != nil && len(facts.Processes) == 0 {
				return err
			}
			d := why.Diagnose(facts)
			if err != nil {
				d.Evidence = append(d.Evidence, "some processes didn't answer: "+err.Error())
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(d)
			} else {
				err = d.Print(cmd.OutOrStdout())
			}
			if err == nil && d.State == "unknown" {
				return exitCode(config.ExitFailed)
			}
			return err
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

var errNobody = errors.New("nobody to ask: set SIDEREAL_ADMIN_ADDR to that of a running host")

// asked returns the source that a command asks. done ends its use.
func asked(set config.Inspect) (s inspect.Source, done func(), err error) {
	if config.IsOff(set.AdminAddr) {
		return nil, nil, errNobody
	}
	remote := inspect.NewRemote("tcp", set.AdminAddr)
	return remote, remote.Close, nil
}

// printDecisions shows what routers decided about a session's last requests.
func printDecisions(cmd *cobra.Command, rows []inspect.Decision) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(cmd.OutOrStdout(), "last requests")
	for i := range rows {
		d := &rows[i]
		line := fmt.Sprintf("  %s  %-9s %-4s %d  %s: %s by %s", d.At.Format("15:04:05.000"), d.Kind, d.Method, d.Status, d.Worker, d.Way, d.Source)
		if d.Tries > 1 {
			line += fmt.Sprintf(", %d tries", d.Tries)
		}
		if d.Why != "" {
			line += ": " + d.Why
		}
		line += fmt.Sprintf("  (%s of %s, %s)", d.Process.Name, d.Process.Host, d.Took.Round(10_000))
		fmt.Fprintln(cmd.OutOrStdout(), why.Printable(line))
	}
}
