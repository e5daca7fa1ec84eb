package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
)

// inspectTimeout limits `sidereal cluster` and `sidereal trace`.
const inspectTimeout = 5 * time.Second

func clusterCommand() *cobra.Command {
	var set config.Inspect
	var asJSON bool
	cmd := &cobra.Command{
		Use: "cluster", Short: "Show the hosts, routers and workers of an app, and settings that differ between them", Args: takes(0, 0),
		Long: `Show all hosts, routers and workers of an app, from their records in Redis. Without SIDEREAL_REDIS_URL the command
asks the host at SIDEREAL_ADMIN_ADDR, whose embedded Redis has the records. If Redis has no record of the app, the
command names the apps that it has, and exits with 1.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), inspectTimeout)
			defer cancel()
			c, err := cluster.NewInspector(set).Overview(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(c)
			}
			return c.Print(cmd.OutOrStdout())
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
