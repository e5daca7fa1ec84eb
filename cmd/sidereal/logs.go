package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/processview"
)

func logsCommand() *cobra.Command {
	var view processview.Logs
	request := daemon.LogRequest{Lines: 15}
	still := false
	cmd := talkCommand(&cobra.Command{
		Use: "logs [id | name | namespace | /expression/]...", Aliases: []string{"log"}, Short: "Print the last lines of processes and follow them",
		Example: "  sidereal logs\n  sidereal logs api --lines 100\n  sidereal logs --err --json --nostream",
	}, func(ctx context.Context, c *control, args []string) error {
		if still && len(args) > 0 {
			known, err := c.known(ctx, args)
			if err != nil || len(known) == 0 {
				return err
			}
			args = known
		}
		client, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer client.Close()
		request.Targets, request.Follow = args, !still
		view.Screen, view.JSON = c.out, c.json
		if !view.Raw && !view.JSON && !view.Pairs && !c.silent {
			what := "all processes"
			if len(args) > 0 {
				what = strings.Join(args, ", ")
			}
			fmt.Fprintf(c.err, "The last %s of %s; --lines shows more.\n", numbered(request.Lines, "line", "lines"), what)
		}
		return follow(ctx, c, client, request, view)
	})
	f := cmd.Flags()
	f.IntVar(&request.Lines, "lines", request.Lines, "`number` of past lines of each file")
	f.BoolVar(&view.Pairs, "format", false, "print pairs of key=value")
	f.BoolVar(&view.Raw, "raw", false, "print the lines without prefixes")
	f.BoolVar(&request.Err, "err", false, "print only error output")
	f.BoolVar(&request.Out, "out", false, "print only standard output")
	f.BoolVar(&still, "nostream", false, "print the past lines without following")
	f.StringVar(&view.Timestamp, "timestamp", "", "put a date before each line, in this `format` of day.js")
	f.Lookup("timestamp").NoOptDefVal = "YYYY-MM-DDTHH:mm:ss"
	f.StringVar(&view.Highlight, "highlight", "", "highlight this `text`")
	return cmd
}

// follow prints lines until there are no more, or the command is interrupted.
func follow(ctx context.Context, c *control, client *daemon.Client, r daemon.LogRequest, view processview.Logs) error {
	if r.Lines < 0 {
		return usageError("--lines must not be negative")
	}
	return client.Logs(ctx, r, view.Line)
}
