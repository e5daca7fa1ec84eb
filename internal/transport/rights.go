package transport

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Missing are the rights in Redis that the adapter of these settings lacks, for the main namespace, each an error for an
// operator. err is what kept it from trying.
func Missing(ctx context.Context, set config.Cluster, redis config.Redis, conn *redisconn.Conn) (missing []error, err error) {
	a, err := New(set, adapter.Config{Conn: conn, Log: zerolog.Nop()})
	if err != nil {
		return nil, err
	}
	rights, err := a.Check(ctx, adapter.Needs{Recovery: set.Recovery > 0})
	for _, right := range rights {
		missing = append(missing, redis.Problem(right))
	}
	return missing, Problem(set, redis, err)
}

// Check is what must end a start, in one line: the first right that is missing, or a Redis that is too old. What passes by
// itself is no error.
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
