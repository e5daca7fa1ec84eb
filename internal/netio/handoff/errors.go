package handoff

import "errors"

var (
	// ErrFull reports that the worker's socket takes no more at the moment. The caller keeps the
	// connection and proxies.
	ErrFull = errors.New("handoff: worker does not keep up")

	// ErrDead reports that no worker is at the other end. Its sessions are gone with it.
	ErrDead = errors.New("handoff: worker is gone")

	// ErrWrongWorker reports that another incarnation answers at the path: the one asked for is
	// gone.
	ErrWrongWorker = errors.New("handoff: another worker answers")

	// ErrTooLarge reports a Meta that does not fit one datagram. The caller keeps the connection
	// and proxies.
	ErrTooLarge = errors.New("handoff: head too large")

	// ErrTouched reports a client connection of which something was read, for a worker that takes
	// only untouched ones. The caller keeps the connection and proxies.
	ErrTouched = errors.New("handoff: worker takes untouched connections only")

	// ErrUnsupported reports a system without descriptor passing. The caller keeps the connection
	// and proxies.
	ErrUnsupported = errors.New("handoff: not supported on this system")

	// ErrForeign reports a peer process of another user.
	ErrForeign = errors.New("handoff: peer runs as another user")

	errWire = errors.New("handoff: malformed datagram")
)
