package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
)

const healthcheckTimeout = 2 * time.Second

// healthcheckCommand is for container health checks: 0 when the host is ready.
func healthcheckCommand() *cobra.Command {
	var set config.Healthcheck
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Exit with 0 if the host at SIDEREAL_ADMIN_ADDR is ready, else with 1", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			if config.IsOff(set.AdminAddr) {
				return &config.ValueError{Variable: "SIDEREAL_ADMIN_ADDR", Value: set.AdminAddr, Rule: "must be where the host to check has its admin port"}
			}
			ctx, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
			defer cancel()
			if err := admin.NewClient(set.AdminAddr).Ready(ctx); err != nil {
				var dialed *url.Error
				if errors.As(err, &dialed) {
					err = dialed.Err
				}
				return fmt.Errorf("not ready: %w", err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ready")
			return nil
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}
