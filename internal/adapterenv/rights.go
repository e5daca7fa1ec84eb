package adapterenv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Missing returns the rights in Redis that the adapter of these settings lacks for the main
// namespace, each as an error for an operator. With err it couldn't try.
func Missing(ctx context.Context, set config.Cluster, redis config.Redis, conn *redisconn.Conn) (missing []error, err error) {
	cfg := Config(set)
	cfg.Conn, cfg.Log = conn, slog.New(slog.DiscardHandler)
	a, err := adapter.New(cfg)
	if err != nil {
		return nil, err
	}
	rights, err := a.Check(ctx, adapter.Needs{Recovery: set.Recovery > 0})
	for _, right := range rights {
		missing = append(missing, redis.Problem(right))
	}
	return missing, Problem(set, redis, err)
}

// Check returns, in one line, what must end a start: the first missing right, or a Redis that is
// too old. It returns nil for a trouble that may pass.
func Check(ctx context.Context, set config.Cluster, redis config.Redis, conn *redisconn.Conn) error {
	missing, err := Missing(ctx, set, redis, conn)
	var wrong *config.ValueError
	switch {
	case len(missing) > 1:
		return fmt.Errorf("%w (and %d more: sidereal check names them)", missing[0], len(missing)-1)
	case len(missing) == 1:
		return missing[0]
	case errors.As(err, &wrong):
		return err
	}
	return nil
}
