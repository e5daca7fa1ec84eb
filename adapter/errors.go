package adapter

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrAway reports that Redis is away, so that the other servers could not be asked, or could not answer. Asking again
	// once Redis is back helps.
	ErrAway = errors.New("adapter: Redis is away")
	// ErrClosed reports a call on a namespace, or a cluster, that has ended.
	ErrClosed = errors.New("adapter: closed")
	// ErrTooLarge reports a message beyond Config.MaxMessageBytes. It was not sent.
	ErrTooLarge = errors.New("adapter: message too large")
	// ErrOpen reports a namespace that was opened twice.
	ErrOpen = errors.New("adapter: namespace is open already")
)

// errBeat reports a heartbeat that none of ours would have sent.
var errBeat = errors.New("adapter: malformed heartbeat")

// TimeoutError reports that not every server answered in time; what did come is returned beside it. Its text is that of
// Node's adapter. It matches context.DeadlineExceeded.
type TimeoutError struct {
	text     string
	Answered int
	Expected int
	// Missing are the uids of our own peers that did not answer; Node's servers cannot be named.
	Missing []string
}

func (e *TimeoutError) Error() string { return e.text }

// Unwrap makes errors.Is(err, context.DeadlineExceeded) true.
func (e *TimeoutError) Unwrap() error { return context.DeadlineExceeded }

func eventTimeout(t *tally) string {
	return fmt.Sprintf("timeout reached: only %d responses received out of %d", t.got, t.expected)
}
