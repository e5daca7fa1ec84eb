package redisconn

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// TrySubscribe tries one subscription at a node: with SUBSCRIBE, PSUBSCRIBE or SSUBSCRIBE, and its
// opposite. Both commands leave in one write, and Redis runs them before those of any other client.
// So nobody who counts subscribers counts this one. Each error is about one command: [ErrNoShards],
// or one of [Classify].
func (c *Conn) TrySubscribe(ctx context.Context, node *redis.Client, verb, name string) (subscribe, unsubscribe error) {
	ps, err := dialPush(ctx, node, 0, func() {})
	if err != nil {
		err = Classify(err)
		return err, err
	}
	defer ps.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := ps.conn.SetDeadline(deadline); err != nil {
			return err, err
		}
	}
	b := appendCommand(nil, verb, name)
	if err := ps.write(appendCommand(b, Opposite(verb), name)); err != nil {
		err = Classify(err)
		return err, err
	}
	answer := func() error {
		_, err := ps.Receive(ctx)
		var refused redis.Error
		if errors.As(err, &refused) && strings.HasPrefix(refused.Error(), "MOVED ") {
			return Classify(err)
		}
		return refusal(err)
	}
	subscribe, unsubscribe = answer(), answer()
	if subscribe != nil && nothingToEnd(unsubscribe) {
		unsubscribe = nil
	}
	return subscribe, unsubscribe
}

// nothingToEnd reports that Valkey allows the command and found no subscription to end. Redis
// answers such a command as usual.
func nothingToEnd(err error) bool {
	var refused redis.Error
	return errors.As(err, &refused) && strings.HasPrefix(refused.Error(), "NOSUB ")
}

// Opposite returns the command that ends what verb begins: UNSUBSCRIBE for SUBSCRIBE, and so on.
func Opposite(verb string) string { return strings.Replace(verb, "SUB", "UNSUB", 1) }
