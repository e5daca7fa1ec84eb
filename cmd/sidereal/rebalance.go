package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/rebalance"
)

func rebalanceCommand() *cobra.Command {
	var set config.Rebalance
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use: "rebalance", Short: "Move sessions from hosts above their share to the others", Args: takes(0, 0),
		Long: `Move sessions from hosts above their share to the others, for a host that has joined or returned empty. Workers close
the sessions of the clients that have been idle longest, at SIDEREAL_DRAIN_RATE, and the clients reconnect to the other
hosts. Sessions in rooms of socketio.Pinned stay. Nothing moves while all hosts are within SIDEREAL_BALANCE_SLACK.

The command waits until the sessions have moved. An interrupt cancels the moves that are left.`,
		Example: "  sidereal rebalance --dry-run\n  sidereal rebalance --redis-url redis://10.0.0.9:6379",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			if set.RedisURL == "" {
				return &config.ValueError{Variable: "SIDEREAL_REDIS_URL", Rule: "must be set: with an embedded Redis there is one host, and nothing to rebalance"}
			}
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return rebalanceOnce(ctx, cmd.OutOrStdout(), set, dry, asJSON)
		},
	}
	config.AddFlags(cmd.Flags(), &set)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the plan and move nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	return cmd
}

// rebalanceOnce plans, prints the plan, and has it carried out unless dry is set.
func rebalanceOnce(ctx context.Context, out io.Writer, set config.Rebalance, dry, asJSON bool) (err error) {
	c, err := cluster.Open(ctx, cluster.Config{Redis: set.Redis, App: set.App.App, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Conn.Check(ctx); err != nil {
		return set.Redis.Problem(err)
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // to call orders back after an interrupt
	var parts errgroup.Group
	parts.Go(func() error { return c.Run(following) })
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	syncing, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	if err := c.Directory.Synced(syncing); err != nil {
		return set.Redis.Problem(err)
	}
	slack := float64(set.BalanceSlack) / 100
	var p *rebalance.Plan
	if dry {
		p = rebalance.Make(set.App.App, c.Directory.Workers(), slack)
	} else if p, err = rebalance.Once(ctx, c.Directory, set.App.App, slack); err != nil {
		return err
	}
	if err := printPlan(out, p, asJSON); err != nil {
		return err
	}
	switch {
	case len(p.Hosts) == 0:
		return fmt.Errorf("no worker of the app %q is ready at %s", set.App.App, config.Hidden(set.RedisURL))
	case len(p.Waits) > 0:
		return fmt.Errorf("not now: %s; try again when it has ended", strings.Join(p.Waits, "; "))
	case dry || p.Moves == 0:
		return nil
	}
	if err := p.Follow(ctx, c.Directory); err != nil || asJSON {
		return err
	}
	return printShares(out, rebalance.Make(set.App.App, c.Directory.Workers(), slack))
}

func printPlan(out io.Writer, p *rebalance.Plan, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(p)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "app %s: %d sessions, %.1f per worker\n\nHOST\tWORKERS\tSESSIONS\tSHARE\tMOVES\n", p.App, p.Sessions, p.Mean)
	for _, h := range p.Hosts {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", h.Name, h.Workers, h.Sessions, h.Share, h.Moves)
	}
	if len(p.Workers) > 0 {
		fmt.Fprint(t, "\nWORKER\tHOST\tSLOT\tSESSIONS\tKEEPS\tMOVES\tPER SECOND\n")
	}
	for _, w := range p.Workers {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%.1f\n", w.ID, w.Host, w.Slot, w.Sessions, w.Keep, w.Moves, w.Rate)
	}
	for _, why := range p.Refused {
		fmt.Fprintf(t, "\nrefused: %s; `sidereal reload` moves all its sessions\n", why)
	}
	switch {
	case p.Moves > 0:
		fmt.Fprintf(t, "\n%d sessions move, in about %.0f s\n", p.Moves, p.Seconds)
	case len(p.Waits) == 0 && len(p.Refused) == 0 && len(p.Hosts) > 0:
		fmt.Fprintf(t, "\nnothing to move: all hosts are within %.0f %% of their share\n", 100*p.Slack)
	}
	return t.Flush()
}

// printShares shows the hosts after a rebalance.
func printShares(out io.Writer, p *rebalance.Plan) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\nHOST\tSESSIONS\tSHARE\n")
	for _, h := range p.Hosts {
		fmt.Fprintf(t, "%s\t%d\t%d\n", h.Name, h.Sessions, h.Share)
	}
	return t.Flush()
}
