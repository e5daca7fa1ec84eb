package adapter

import "github.com/sidereal-io/sidereal/adapter/internal/link"

var (
	// ErrAway reports that Redis is away, so the other servers can't be asked, or can't answer. Ask
	// again once Redis is back.
	ErrAway = link.ErrAway
	// ErrClosed reports a call on a namespace, or an adapter, that has ended.
	ErrClosed = link.ErrClosed
	// ErrTooLarge reports a message beyond Config.MaxMessageBytes. It was not sent.
	ErrTooLarge = link.ErrTooLarge
	// ErrOpen reports a namespace that was opened twice.
	ErrOpen = link.ErrOpen
)
