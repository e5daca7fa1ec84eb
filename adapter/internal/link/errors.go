package link

import "errors"

// The errors that package adapter documents.
var (
	ErrAway     = errors.New("adapter: Redis is away")
	ErrClosed   = errors.New("adapter: closed")
	ErrTooLarge = errors.New("adapter: message too large")
	ErrOpen     = errors.New("adapter: namespace is already open")
)

// errBeat reports a heartbeat that no process of ours would send.
var errBeat = errors.New("adapter: malformed heartbeat")
