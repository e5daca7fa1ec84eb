package cluster

import (
	"context"
	"errors"
)

// ErrNoPeer reports an event for an unknown server: it left, or it is a Node server, which has no
// name.
var ErrNoPeer = errors.New("socketio: no such server")

// MissingError reports that some servers didn't answer in time. The function that returns it also
// returns the answers of the others. errors.Is(err, context.DeadlineExceeded) is true for it.
type MissingError struct {
	Text     string // as Node's adapters put it
	Answered int    // servers
	Expected int    // servers
	// Missing lists the servers that didn't answer and are known by name. Node's servers have no
	// name; Expected minus Answered counts them, too.
	Missing []Peer
}

// Error returns the text that Node's adapters use.
func (e *MissingError) Error() string { return e.Text }

// Unwrap returns context.DeadlineExceeded.
func (e *MissingError) Unwrap() error { return context.DeadlineExceeded }
