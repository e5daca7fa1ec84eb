package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/processview"
)

func listCommand() *cobra.Command {
	sort, watch, mini := "id", false, false
	cmd := talkCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls", "l", "ps", "status"}, Short: "List all processes; also ls, l, ps, status", Args: takes(0, -1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}, func(ctx context.Context, c *control, _ []string) error {
		if watch {
			return c.watchList(ctx, sort)
		}
		l, err := c.listing(ctx)
		if err != nil {
			return err
		}
		if len(l.Processes) == 0 && !c.silent && !c.json {
			c.warn("nothing runs yet: start an app with `" + calledAs() + " start <file or script>`")
		}
		if err := processview.Sort(&l, sort); err != nil {
			return usageError(err.Error())
		}
		if c.json {
			return processview.JList(c.out, l)
		}
		if mini {
			return processview.MiniList(c.out, l, time.Now())
		}
		return processview.List(c.out, l, time.Now())
	})
	cmd.Flags().BoolVarP(&mini, "mini-list", "m", false, "print lines of text without a table")
	cmd.Flags().BoolVar(&watch, "watch", false, "update the table every second until Ctrl-C, on a terminal")
	cmd.Flags().StringVar(&sort, "sort", sort, "sort by this `column`: "+strings.Join(processview.SortBy, ", ")+"; with :desc in reverse")
	return cmd
}

func jlistCommand() *cobra.Command {
	return jsonCommand("jlist", "List all processes as JSON, with PM2's keys", func(c *control, l daemon.Listing) error {
		return processview.JList(c.out, l)
	})
}

// prettyListCommand makes jlist for people.
func prettyListCommand() *cobra.Command {
	return jsonCommand("prettylist", "List all processes as JSON of many lines", func(c *control, l daemon.Listing) error {
		var list, pretty bytes.Buffer
		if err := processview.JList(&list, l); err != nil {
			return err
		}
		if err := json.Indent(&pretty, list.Bytes(), "", "  "); err != nil {
			return err
		}
		_, err := pretty.WriteTo(c.out)
		return err
	})
}

func jsonCommand(name, short string, print func(*control, daemon.Listing) error) *cobra.Command {
	return talkCommand(&cobra.Command{Use: name, Short: short, Args: takes(0, -1), ValidArgsFunction: cobra.NoFileCompletions},
		func(ctx context.Context, c *control, _ []string) error {
			l, err := c.listing(ctx)
			if err != nil {
				return err
			}
			return print(c, l)
		})
}

func describeCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "describe <id | name | namespace>...", Aliases: []string{"desc", "info", "show"}, Short: "Show everything about processes; also show, info, desc",
		Args: takes(1, -1),
	}, func(ctx context.Context, c *control, args []string) error {
		l, found, err := c.find(ctx, args)
		if err != nil {
			return err
		}
		if c.json {
			l.Processes = found
			return processview.JList(c.out, l)
		}
		shell := pm2.Shell(environ())
		for i := range found {
			status := l.Apps[found[i].App]
			if err := processview.Describe(c.out, &found[i], &status, shell, time.Now()); err != nil {
				return err
			}
		}
		return nil
	})
}

func envCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "env <id>", Short: "Print the environment of a process", Args: takes(1, 1),
	}, func(ctx context.Context, c *control, args []string) error {
		l, found, err := c.find(ctx, args)
		if err != nil {
			return err
		}
		app := l.Apps[found[0].App].App
		if c.json {
			return processview.EnvJSON(c.out, &found[0], &app)
		}
		return processview.Env(c.out, &found[0], &app)
	})
}

func idCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "id <name>", Short: "Print the ids of an app's processes", Args: takes(1, 1),
	}, func(ctx context.Context, c *control, args []string) error {
		l, err := c.listing(ctx)
		if err != nil {
			return err
		}
		var ids []string
		found, err := l.Find(args[0])
		if err != nil {
			return err
		}
		for _, p := range found {
			ids = append(ids, strconv.Itoa(p.ID))
		}
		switch {
		case c.json:
			_, err = fmt.Fprintf(c.out, "[%s]\n", strings.Join(ids, ","))
		case len(ids) == 0:
			_, err = fmt.Fprintln(c.out, "[]")
		default:
			_, err = fmt.Fprintf(c.out, "[ %s ]\n", strings.Join(ids, ", "))
		}
		return err
	})
}

func pidCommand() *cobra.Command {
	return talkCommand(&cobra.Command{
		Use: "pid [id | name | namespace]", Short: "Print process ids, one per line; 0 for a process that doesn't run", Args: takes(0, 1),
	}, func(ctx context.Context, c *control, args []string) error {
		if len(args) == 0 {
			args = []string{"all"}
		}
		l, err := c.listing(ctx)
		if err != nil {
			return err
		}
		found, err := l.Find(args[0])
		if err != nil {
			return err
		}
		if args[0] != "all" && len(found) == 0 {
			c.warn(c.notFound(args[0]).Error()) // deploy scripts ask before the first start
		}
		return printPIDs(c, found)
	})
}

func printPIDs(c *control, found []daemon.Process) error {
	var pids []string
	for _, p := range found {
		pids = append(pids, strconv.Itoa(p.PID))
	}
	text := strings.Join(pids, "\n") + "\n"
	switch {
	case c.json:
		text = "[" + strings.Join(pids, ",") + "]\n"
	case len(pids) == 0:
		return nil
	}
	_, err := fmt.Fprint(c.out, text)
	return err
}
