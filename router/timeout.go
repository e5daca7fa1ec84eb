package router

import (
	"errors"
	"time"
)

// writeTimeout is how long a peer may take nothing of what is written to it, at least; at most
// twice as long. The router then gives back what a slow reader holds. The kernel itself would wait
// for a quarter of an hour.
const writeTimeout = 45 * time.Second

// isTimeout tells a deadline that passed from a broken connection.
func isTimeout(err error) bool {
	type timeout interface{ Timeout() bool }
	if t, ok := err.(timeout); ok {
		return t.Timeout() // as most errors of connections: As allocates
	}
	var t timeout
	return errors.As(err, &t) && t.Timeout()
}
