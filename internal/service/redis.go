package service

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisserver"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// Redis runs the embedded Redis of a host until ctx ends.
func Redis(ctx context.Context, set config.EmbeddedRedis) (err error) {
	line, err := lifeline.Open(set.SupervisorFD)
	if err != nil {
		return err
	}
	listeners, err := supervisor.Inherited(set.ListenFDs)
	if err != nil {
		return err
	}
	if len(listeners) != 1 {
		return errors.New("redis: only a supervisor can start it")
	}
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	parts := new(errgroup.Group)
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	follow(hard, parts, line, drop)
	e, err := redisserver.ServeOn(ctx, listeners[0], set.RedisPassword)
	if err != nil {
		return err
	}
	report(line, lifeline.Ready)
	e.Wait()
	return nil
}

// follow adds to parts what follows the line to the supervisor until ctx ends. The end of the
// supervisor ends this process on the spot.
func follow(ctx context.Context, parts *errgroup.Group, line *lifeline.Line, told func(lifeline.Told)) {
	parts.Go(func() error {
		if err := line.Follow(ctx, told); err != nil {
			os.Exit(config.ExitFailed)
		}
		return nil
	})
}

// drop is for services that the supervisor has nothing to tell.
func drop(t lifeline.Told) {
	if t.File != nil {
		t.File.Close()
	}
}

// report tells the supervisor that something holds. If nobody listens any more, follow notices.
func report(line *lifeline.Line, fact string) { _ = line.Report(fact, "1") }
