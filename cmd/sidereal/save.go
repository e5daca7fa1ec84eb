package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
)

func saveCommand() *cobra.Command {
	force := false
	cmd := talkCommand(&cobra.Command{
		Use: "save", Aliases: []string{"dump"}, Short: "Save the list of processes, for resurrect and the next boot; also dump", Args: takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
	}, func(ctx context.Context, c *control, _ []string) error {
		client, err := c.connect(ctx)
		if errors.Is(err, errNothingRuns) { // which is an empty list
			if force {
				return c.clearDump()
			}
			c.warn(nothingSaved)
			return nil
		}
		if err != nil {
			return err
		}
		defer client.Close()
		saved, err := client.Save(ctx, force)
		if err != nil {
			return err
		}
		if c.json {
			return json.NewEncoder(c.out).Encode(saved)
		}
		if saved.Kept {
			c.warn(nothingSaved)
			return nil
		}
		c.say("Saved %s of %s in %s", numbered(saved.Processes, "process", "processes"), numbered(saved.Apps, "app", "apps"), saved.File)
		return nil
	})
	cmd.Flags().BoolVarP(&force, "force", "f", false, "overwrite the saved list even if nothing runs")
	return cmd
}

// nothingSaved says why `save` saved nothing. That is no failure, as in PM2: deploy scripts save
// whatever there is.
const nothingSaved = "the list is empty, and the saved one stays as it is: --force replaces it"

func clearDumpCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "cleardump", Short: "Make the saved list an empty one", Args: takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}, func(_ context.Context, c *control, _ []string) error { return c.clearDump() })
}

func (c *control) clearDump() error {
	if err := daemon.ClearDump(c.home); err != nil {
		return err
	}
	c.say("The saved list is empty: %s", c.home.Dump())
	return nil
}

func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func resurrectCommand() *cobra.Command {
	s := &starter{}
	cmd := starting(&cobra.Command{
		Use: "resurrect", Short: "Start the saved processes", Args: takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}, s, func(ctx context.Context, _, _ []string) error {
		if s.stay {
			return s.resurrectInForeground()
		}
		return s.resurrect(ctx)
	})
	cmd.Flags().BoolVar(&s.stay, "no-daemon", false, "stay in the foreground, for an init system")
	return cmd
}

// resurrect has the daemon start the saved processes, and shows what runs then.
func (s *starter) resurrect(ctx context.Context) error {
	client, err := s.ensure(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Resurrect(ctx, s.happened()); err != nil {
		return err
	}
	return s.show(ctx, client)
}

func killCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "kill", Short: "Stop all processes and the daemon", Args: takes(0, 0), ValidArgsFunction: cobra.NoFileCompletions,
	}, func(ctx context.Context, c *control, _ []string) error {
		client, err := c.connect(ctx)
		if errors.Is(err, errNothingRuns) {
			c.say("No daemon is running in %s.", c.home)
			return nil
		}
		if err != nil {
			return err
		}
		defer client.Close()
		if err := client.Kill(ctx, c.happened()); err != nil {
			return err
		}
		c.say("The daemon has ended.")
		return nil
	})
}

// updateCommand makes the command that replaces the daemon by one of this program's version.
func updateCommand() *cobra.Command {
	s := &starter{}
	return starting(&cobra.Command{
		Use: "update", Short: "Replace the daemon by one of this version, with the same processes", Aliases: []string{"updatePM2"}, Args: takes(0, 0),
		Long:              `Save the list, end the daemon with all processes, and start this version of it with the list.`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}, s, func(ctx context.Context, _, _ []string) error {
		if err := s.leave(ctx); err != nil {
			return err
		}
		return s.resurrect(ctx)
	})
}

// leave saves the daemon's list and ends the daemon, if there is one.
func (c *control) leave(ctx context.Context) error {
	client, err := c.connect(ctx)
	if errors.Is(err, errNothingRuns) {
		return nil
	}
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := client.Save(ctx, true); err != nil {
		return err
	}
	return client.Kill(ctx, c.happened())
}

func pingCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "ping", Short: "Tell whether the daemon runs", Args: takes(0, -1), ValidArgsFunction: cobra.NoFileCompletions,
	}, func(ctx context.Context, c *control, _ []string) error {
		client, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		info, err := client.Ping(ctx)
		if err != nil {
			return err
		}
		if c.json {
			return json.NewEncoder(c.out).Encode(info)
		}
		_, err = fmt.Fprintf(c.out, "pong: daemon %d, sidereal %s, in %s\n", info.PID, info.Version, info.Home)
		return err
	})
}

func resetCommand() *cobra.Command {
	return targetsCommand("reset", "Set the counters of restarts to 0", daemon.Reset)
}
