package emitter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// senderUID is what emitters call themselves; no server has that name.
const senderUID = "emitter"

// Form is a family of Node's adapters: Classic, Sharded or Streams. Package adapter has the
// servers' forms, by the same names.
type Form interface {
	validate() error
	// open makes the sender for the main namespace, "/".
	open(Config) sender
}

// sender sends to the servers what they listen to, for one namespace.
type sender interface {
	of(namespace string) sender
	// via makes the sender add its commands to a pipeline.
	via(commands) sender
	// broadcast sends an event to clients.
	broadcast(ctx context.Context, o wire.Options, event string, args []any) error
	// order sends what servers carry out.
	order(ctx context.Context, q wire.Request) error
}

// commands are the commands that senders use, of a client or of a pipeline.
type commands interface {
	Publish(ctx context.Context, channel string, message any) *redis.IntCmd
	SPublish(ctx context.Context, channel string, message any) *redis.IntCmd
	Do(ctx context.Context, args ...any) *redis.Cmd
}

// failure is what a command to Redis ended with, if that is an error.
func failure(ctx context.Context, what string, err error) error {
	switch deadline, ok := ctx.Deadline(); {
	case err == nil:
		return nil
	case ok && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(deadline):
		// The connection noticed before the context's own timer did.
		err = context.DeadlineExceeded
	}
	return fmt.Errorf("emitter: %s: %w", what, err)
}
