package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
)

func traceCommand() *cobra.Command {
	var set config.Inspect
	var asJSON bool
	cmd := &cobra.Command{
		Use: "trace <sid>", Short: "Show which worker owns a session, and why", Args: takes(1, 1),
		Long: `Show which worker gets the requests of a session, and why. The command asks the router of the host at
SIDEREAL_ADMIN_ADDR, or the records in Redis if no host answers. It changes nothing. The exit code is 1 if no worker
owns the sid. The last decisions of the host's routers about the session follow.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), inspectTimeout)
			defer cancel()
			t, err := cluster.NewInspector(set).Trace(ctx, args[0])
			if err != nil {
				return err
			}
			var last []inspect.Decision
			if source, done, err := asked(set); err == nil {
				defer done()
				page, _ := source.Decisions(ctx, inspect.Query{ID: args[0], Limit: 20}) // an older host has none
				last = page.Rows
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(struct {
					*cluster.Trace
					Decisions []inspect.Decision `json:"decisions,omitempty"`
				}{t, last})
			} else if err = t.Print(cmd.OutOrStdout()); err == nil {
				printDecisions(cmd, last)
			}
			if err == nil && t.Worker == nil {
				return exitCode(config.ExitFailed)
			}
			return err
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
