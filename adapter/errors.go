package adapter

import (
	"errors"
	"fmt"

	"github.com/sidereal-io/sidereal/socketio/cluster"
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

// TimeoutError is what a request ends with that not every server answered in time.
type TimeoutError = cluster.MissingError

func eventTimeout(t *tally) string {
	return fmt.Sprintf("timeout reached: only %d responses received out of %d", t.got, t.expected)
}

func roomsTimeout(*tally) string { return "timeout reached while waiting for allRooms response" }
