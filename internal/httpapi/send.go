package httpapi

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Redis is the Redis that the app's servers share.
type Redis interface {
	Client() redis.UniversalClient
	Up() bool // whether it answered a moment ago
}

// sender carries out actions that nobody answers.
type sender struct {
	redis   Redis
	emitter *emitter.Emitter
}

// send carries actions out in their order, in one pipeline, and returns what became of each. A
// problem of one doesn't keep the others back.
func (s *sender) send(ctx context.Context, actions []*action) []*problem {
	if len(actions) > 0 && actions[0].once != nil { // all of a request have one, or none
		return s.sendOnce(ctx, actions)
	}
	faults := make([]*problem, len(actions))
	if fault := s.unable(ctx); fault != nil {
		for i := range faults {
			faults[i] = fault
		}
		return faults
	}
	pipe := s.redis.Client().Pipeline()
	e := s.emitter.Via(pipe)
	queued := make([]int, 0, len(actions)) // the action of each command
	for i, a := range actions {
		if err := a.send(ctx, e); err != nil {
			faults[i] = asProblem(err)
			continue
		}
		queued = append(queued, i)
	}
	commands, _ := pipe.Exec(ctx) // each command has its own error
	for k, i := range queued {
		faults[i] = asProblem(commands[k].Err())
	}
	return faults
}

// unable says why nothing can be sent now.
func (s *sender) unable(ctx context.Context) *problem {
	switch {
	case ctx.Err() != nil:
		return away("the request's time was over")
	case !s.redis.Up():
		return away("Redis was away when the request came")
	}
	return nil
}

func away(detail string) *problem {
	fault := newProblem("redis-away", detail)
	fault.Outcome, fault.retry = notSent, retryAway
	return fault
}

// asProblem says what an error means to the client; nil for none.
func asProblem(err error) *problem {
	var fault *problem
	var op *net.OpError
	var answer redis.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &fault):
		return fault
	case errors.Is(err, emitter.ErrTooLarge):
		return newProblem("too-large", "the message is beyond SIDEREAL_ADAPTER_MAX_MESSAGE_BYTES")
	case errors.Is(err, emitter.ErrReserved):
		return newProblem("bad-value", "the event has a name that Socket.IO keeps for itself").at("/event")
	case errors.As(err, &op) && op.Op == "dial", errors.Is(err, redis.ErrPoolTimeout):
		return away("Redis can't be reached")
	case errors.As(err, &answer) && !errors.Is(redisconn.Classify(err), redisconn.ErrUnreachable):
		fault = newProblem("redis-refused", "the log has Redis's words")
		fault.Outcome, fault.cause = notSent, err
		return fault
	case errors.As(err, &answer): // it is loading, or a replica
		fault = away("Redis takes no commands at the moment")
		fault.cause = err
		return fault
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		fault = newProblem("redis-unanswered", "the action may still be carried out")
	default:
		fault = newProblem("redis-unanswered", "the connection to Redis broke; the action may have been carried out")
	}
	fault.Outcome, fault.retry = unknown, retryAway
	return fault
}
