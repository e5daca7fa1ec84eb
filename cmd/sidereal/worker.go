package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/demo"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

// workerCommand makes the command of the demo app, which is written like any app: worker.Main
// reads the environment, so the command puts its flags there.
func workerCommand() *cobra.Command {
	var set config.Worker
	cmd := &cobra.Command{
		Use: "worker", Short: "Run the demo app as one worker", Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := load(cmd, &set)
			if err != nil {
				return err
			}
			for _, v := range settings.Values {
				if !strings.HasPrefix(v.From, "flag ") {
					continue
				}
				os.Unsetenv(v.Variable + "_FILE") // the flag wins
				if err := os.Setenv(v.Variable, v.Text); err != nil {
					return err
				}
			}
			worker.MainConfig(socketio.Config{ClientBundle: demo.Bundle()}, demo.App)
			return nil
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	return cmd
}
