package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrAuth reports that Redis wants another user or password. Only an operator can fix it: a
	// process ends with exit code 2.
	ErrAuth = errors.New("redis: wrong user or password")
	// ErrRights reports that Redis's ACL forbids this user a command, key or channel that Sidereal
	// needs. Redis's own text follows and names it. Only an operator can fix it: exit code 2.
	ErrRights = errors.New("redis: missing right")
	// ErrNoShards reports a Redis before version 7, without sharded pub/sub. Only an operator can
	// fix it: exit code 2.
	ErrNoShards = errors.New("redis: no sharded pub/sub; it needs Redis 7 or later")
	// ErrMoved reports a key that another node of a cluster serves. With a redis+cluster URL this
	// passes. With another URL only an operator can fix it: exit code 2.
	ErrMoved = errors.New("redis: this is a node of a Redis Cluster and doesn't serve this key; use redis+cluster://")
	// ErrDatabase reports that Redis has no database of the URL's number. A Cluster has only
	// database 0. Only an operator can fix it: exit code 2.
	ErrDatabase = errors.New("redis: no such database")
	// ErrUnreachable reports a Redis that can't be reached, doesn't answer in time, still loads its
	// data, or can't execute the command for now (memory full, disk failing, replica). Waiting
	// helps.
	ErrUnreachable = errors.New("redis: unreachable")
)

// Check makes one attempt to reach Redis and log in. It returns nil or an error of [Classify]. If
// Redis hangs up, Check finds out whether that is [ErrProtected].
func (c *Conn) Check(ctx context.Context) error { return c.probe(ctx) }

// Rule describes the fault of a URL whose Redis answered with err, if only an operator can fix it.
// Otherwise it returns "".
func Rule(err error, url string) string {
	switch {
	case errors.Is(err, ErrAuth), errors.Is(err, ErrRights), errors.Is(err, ErrDatabase):
		return "is refused: " + err.Error()
	case errors.Is(err, ErrMoved) && !strings.Contains(url, "+cluster://"):
		return "is a node of a Redis Cluster: begin with redis+cluster:// or rediss+cluster://"
	}
	return ""
}

// Classify wraps an error of the client with [ErrAuth], [ErrRights] or [ErrUnreachable], so that
// callers know whether waiting helps. It returns nil, answers such as redis.Nil, and ordinary
// command errors unchanged.
func Classify(err error) error {
	var answer redis.Error
	switch {
	case err == nil, err == redis.Nil:
		return err
	case errors.Is(err, ErrAuth), errors.Is(err, ErrRights), errors.Is(err, ErrDatabase), errors.Is(err, ErrUnreachable):
		return err
	case errors.Is(err, redis.Nil): // wrapped by the client: no sentinel knows the master
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case errors.As(err, &answer):
		return classifyAnswer(answer, err)
	default: // dial, timeout, reset, pool: Redis said nothing
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
}

// refusal is Classify for the answer to a subscription.
func refusal(err error) error {
	var answer redis.Error
	if errors.As(err, &answer) && strings.HasPrefix(strings.ToLower(answer.Error()), "err unknown command") {
		return fmt.Errorf("%w: %w", ErrNoShards, err)
	}
	return Classify(err)
}

// classifyAnswer distinguishes Redis's own errors by their first word.
func classifyAnswer(answer redis.Error, err error) error {
	text := answer.Error()
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "NOAUTH", "WRONGPASS":
		return fmt.Errorf("%w: %w", ErrAuth, err)
	case "NOPERM":
		return fmt.Errorf("%w: %w", ErrRights, err)
	case "MOVED", "ASK":
		return fmt.Errorf("%w: %w", ErrMoved, err)
	case "DENIED":
		return ErrProtected
	case "LOADING", "MASTERDOWN", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "NOREPLICAS",
		"OOM", "MISCONF", "BUSY":
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	switch { // servers without ACL, before Redis 6
	case strings.HasPrefix(text, "ERR invalid password"), strings.HasPrefix(text, "ERR AUTH"), strings.HasPrefix(text, "ERR Client sent AUTH"):
		return fmt.Errorf("%w: %w", ErrAuth, err)
	case strings.HasPrefix(text, "ERR DB index"), strings.HasPrefix(text, "ERR SELECT is not allowed"):
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	case strings.HasPrefix(text, "ERR max number of clients"):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}
