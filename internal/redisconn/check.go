package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrAuth reports that Redis wants another user or password. Only an operator can help: a process ends with exit code 2.
	ErrAuth = errors.New("redis: wrong user or password")
	// ErrRights reports that Redis's ACL forbids this user a command, key or channel that Sidereal needs. The text that
	// follows it is Redis's and names it. Only an operator can help: exit code 2.
	ErrRights = errors.New("redis: missing right")
	// ErrNoShards reports a Redis before version 7, which has no sharded pub/sub. Only an operator can help: exit code 2.
	ErrNoShards = errors.New("redis: no sharded pub/sub: it takes Redis 7 or later")
	// ErrMoved reports a key that another node of a cluster serves. With a URL of the form redis+cluster that passes; with any
	// other only an operator can help: exit code 2.
	ErrMoved = errors.New("redis: a node of a Redis Cluster, which does not serve this key")
	// ErrDatabase reports that Redis has no database of the URL's number; in a Cluster there is only 0. Only an operator can
	// help: exit code 2.
	ErrDatabase = errors.New("redis: no such database")
	// ErrUnreachable reports a Redis that cannot be reached, does not answer in time, still loads
	// its data, or carries out no such command for the time being, since its memory is full, its
	// disk fails or it is a replica: wait.
	ErrUnreachable = errors.New("redis: unreachable")
)

// Check makes one attempt to reach Redis and show the password. It returns nil or an error of [Classify]; of a Redis that
// hangs up it finds out whether that is [ErrProtected].
func (c *Conn) Check(ctx context.Context) error { return c.probe(ctx) }

// Rule says what is wrong with a URL whose Redis answered with err, if only an operator can fix it. Else
// it returns "".
func Rule(err error, url string) string {
	switch {
	case errors.Is(err, ErrAuth), errors.Is(err, ErrRights), errors.Is(err, ErrDatabase):
		return "is refused: " + err.Error()
	case errors.Is(err, ErrMoved) && !strings.Contains(url, "+cluster://"):
		return "is a node of a Redis Cluster: begin with redis+cluster:// or rediss+cluster://"
	}
	return ""
}

// Classify wraps an error of the client with [ErrAuth], [ErrRights] or [ErrUnreachable], so that callers know whether
// waiting helps. Nil, answers such as redis.Nil and ordinary command errors come back as they are.
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

// classifyAnswer tells Redis's own errors apart by the code word they begin with.
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
