package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// redisCommand is the child process that is the embedded Redis of `up`.
func redisCommand() *cobra.Command {
	return &cobra.Command{
		Use: "redis", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var set config.EmbeddedRedis
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			line, err := openLine(set.Child, nil)
			if err != nil {
				return err
			}
			listeners, err := supervisor.Inherited(set.ListenFDs)
			if err != nil {
				return err
			}
			if len(listeners) != 1 {
				return errors.New("redis: is started by sidereal up only")
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			e, err := redisconn.ServeEmbeddedOn(ctx, listeners[0], set.RedisPassword)
			if err != nil {
				return err
			}
			report(line, lifeline.Ready)
			e.Wait()
			return nil
		},
	}
}

// openLine opens the line to the supervisor, whose end ends this process on the spot. told gets what it tells; nil: nobody.
func openLine(set config.Child, told func(lifeline.Told)) (*lifeline.Line, error) {
	line, err := lifeline.Open(set.SupervisorFD)
	if err != nil || line == nil {
		return line, err
	}
	follow := line.Run
	if told != nil {
		follow = func(ctx context.Context) error { return line.Follow(ctx, told) }
	}
	go func() {
		if err := follow(context.Background()); err != nil {
			os.Exit(config.ExitFailed)
		}
	}()
	return line, nil
}

// report tells the supervisor that something holds. Where nobody listens any more, openLine's goroutine knows.
func report(line *lifeline.Line, fact string) { _ = line.Report(fact, "1") }
