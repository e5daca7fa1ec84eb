package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
)

// configCommand prints the values that a command would use.
func configCommand() *cobra.Command {
	var flags config.Up // it has all settings that operators may set
	cmd := &cobra.Command{
		Use: "config [up|router|worker]", Short: "Print the settings in effect and the source of each, without secrets",
		Args: cobra.MatchAll(takes(0, 1), cobra.OnlyValidArgs), ValidArgs: []string{"up", "router", "worker"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var set any = &config.Up{}
			if len(args) > 0 {
				switch args[0] {
				case "router":
					set = &config.Router{}
				case "worker":
					set = &config.Worker{}
				}
			}
			settings, err := load(cmd, set)
			for _, w := range settings.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "sidereal: "+w)
			}
			if err != nil {
				return err
			}
			return settings.Print(cmd.OutOrStdout())
		},
	}
	config.AddFlags(cmd.Flags(), &flags)
	return cmd
}
