package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/sidereal-io/sidereal/client"
)

// kind names the cause of an error. It omits ports and addresses of single connections, so that
// errors with one cause count as one kind.
func (r *run) kind(err error) string {
	var errno syscall.Errno
	var refused *client.ConnectError
	var answered *client.RefusedError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return fmt.Sprintf("refused in %s: %s", refused.Namespace, refused.Message)
	case errors.As(err, &answered):
		return strings.TrimPrefix(answered.Error(), "engine.io: ")
	case errors.As(err, &errno):
		return kindOfErrno(errno)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no connection within %v", r.Client.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed by the server"
	case errors.Is(err, client.ErrDisconnected):
		return "disconnected meanwhile"
	}
	return strings.TrimPrefix(strings.TrimPrefix(innermost(err).Error(), "client: "), "engine.io: ")
}

// unanswered is the kind of an event that was never acknowledged.
func (r *run) unanswered() string {
	return fmt.Sprintf("not acknowledged (the server was given %v after the end)", r.Client.Timeout)
}

// kindOfErrno adds a hint if this machine has run out of a resource.
func kindOfErrno(errno syscall.Errno) string {
	switch errno {
	case syscall.EMFILE, syscall.ENFILE:
		return fmt.Sprintf("%v: this process may have %d; raise ulimit -n, or use several machines", errno, fileLimit())
	case syscall.EADDRNOTAVAIL:
		return fmt.Sprintf("%v: no local port is left; widen net.ipv4.ip_local_port_range, or use several machines or addresses", errno)
	}
	return errno.Error()
}

// innermost returns the error that the others wrap; of several, the last one.
func innermost(err error) error {
	for {
		var next error
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			next = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				next = all[len(all)-1]
			}
		}
		if next == nil {
			return err
		}
		err = next
	}
}
