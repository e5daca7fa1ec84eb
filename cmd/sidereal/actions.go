package main

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// targetsCommand makes a command that does one thing to processes.
func targetsCommand(use, short string, verb daemon.Verb, aliases ...string) *cobra.Command {
	var only []string
	unwatch := false
	cmd := talkCommand(&cobra.Command{
		Use: use + " <id | name | namespace | /expression/ | all | file>...", Short: short, Aliases: aliases, Args: takes(1, -1),
		ValidArgsFunction: completeFiles,
	}, func(ctx context.Context, c *control, args []string) error {
		targets, err := c.targets(ctx, args, only)
		if err != nil || len(targets) == 0 {
			return err
		}
		return c.act(ctx, daemon.Action{Verb: verb, Targets: targets, Unwatch: unwatch})
	})
	if verb == daemon.Stop {
		cmd.Flags().BoolVar(&unwatch, "watch", false, "end the watch of the apps' files, too")
	}
	cmd.Flags().StringSliceVar(&only, "only", nil, "use only these `apps` of the file")
	return cmd
}

// targets replaces a process file by the names of its apps, as far as they are known. There may be
// none: deploy scripts delete a file's apps before the first start.
func (c *control) targets(ctx context.Context, args, only []string) ([]string, error) {
	var targets []string
	for _, arg := range args {
		if !pm2.IsFile(arg) {
			targets = append(targets, arg)
			continue
		}
		loader, err := c.newLoader()
		if err != nil {
			return nil, err
		}
		loader.Only = only
		names, err := loader.Names(ctx, arg)
		if err != nil {
			return nil, err
		}
		l, err := c.listing(ctx)
		if err != nil {
			return nil, err
		}
		running := slices.DeleteFunc(names, func(name string) bool {
			return !slices.ContainsFunc(l.Processes, func(p daemon.Process) bool { return p.Name == name })
		})
		if len(running) == 0 {
			c.warn("none of the apps of " + arg + " is in the list")
		}
		targets = append(targets, running...)
	}
	return targets, nil
}

// everythingCommand makes a command that applies to all processes if none is named.
func everythingCommand(use, short, done string, verb daemon.Verb) *cobra.Command {
	return talkCommand(&cobra.Command{Use: use + " [id | name | namespace | /expression/]...", Short: short},
		func(ctx context.Context, c *control, args []string) error {
			if len(args) == 0 {
				args = []string{"all"}
				if l, err := c.listing(ctx); err != nil || len(l.Processes) == 0 {
					return err // nothing to do, as deploy scripts find before the first start
				}
			}
			args, err := c.known(ctx, args)
			if err != nil || len(args) == 0 {
				return err
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			defer client.Close()
			if err := client.Act(ctx, daemon.Action{Verb: verb, Targets: args}, c.happened()); err != nil {
				return err
			}
			if !c.json {
				c.say("%s: %s", strings.Join(args, ", "), done)
			}
			return nil
		})
}

var countPattern = regexp.MustCompile(`^[+-]?\d{1,5}$`)

func scaleCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "scale <name> <n | +n | -n>", Short: "Set how many processes an app has", Args: takes(2, 2),
		Example: "  sidereal scale api 4\n  sidereal scale api +2",
	}, func(ctx context.Context, c *control, args []string) error {
		if !countPattern.MatchString(args[1]) {
			return usageError("how many? " + args[1] + " is not a number like 4, +2 or -1")
		}
		return c.act(ctx, daemon.Action{Verb: daemon.Scale, Targets: args[:1], Count: args[1]})
	})
}

func signalCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "sendSignal <signal> <id | name | namespace | all>", Short: "Send a signal to processes", Args: takes(2, 2),
	}, func(ctx context.Context, c *control, args []string) error {
		if _, err := pm2.ParseSignal(args[0]); err != nil {
			return usageError("the signal " + err.Error())
		}
		return c.act(ctx, daemon.Action{Verb: daemon.Signal, Signal: args[0], Targets: args[1:]})
	})
}

func sendCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "send <id | name> <text>", Short: "Write a line to the input of processes", Args: takes(2, 2),
		Long: `Write a line to the input of processes (process.stdin in Node). Node workers in cluster mode have no input.
They get the text as a message: process.on("message").`,
	}, func(ctx context.Context, c *control, args []string) error {
		client, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Act(ctx, daemon.Action{Verb: daemon.Send, Targets: args[:1], Text: args[1]}, c.happened())
	})
}
