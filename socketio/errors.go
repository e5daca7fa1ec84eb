package socketio

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Error is an error that the client may see. From a handler it answers the event with
// {"error":Message,"data":Data}. From a middleware it refuses the connection with
// {"message":Message,"data":Data}. The server logs any other error and tells the client
// "internal error".
type Error struct {
	Message string
	Data    any // nil isn't sent
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// NewError returns an Error without data.
func NewError(message string) *Error { return &Error{Message: message} }

var (
	// ErrDisconnected reports a socket that is no longer connected: the client or the network left.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrReserved reports an event name that belongs to the protocol, such as "disconnect".
	ErrReserved = errors.New("socketio: event name is reserved")
	// ErrAnswered reports a second answer to one event. The client has got the first.
	ErrAnswered = errors.New("socketio: event was answered before")
	// ErrTooManyAcks reports a question to a socket that owes too many answers: see Config.MaxPendingAcks.
	ErrTooManyAcks = errors.New("socketio: socket owes too many answers")
	// ErrParent reports a question to the namespaces that were made by a pattern, all together. Ask each.
	ErrParent = errors.New("socketio: not supported on a parent of namespaces")
)

// ErrNoPeer reports an event for an unknown server: it left, or it is a Node server, which has no
// name.
var ErrNoPeer = cluster.ErrNoPeer

// MissingError reports that some servers of the cluster didn't answer in time.
type MissingError = cluster.MissingError

// ErrTimeout reports that not all answers came in time. It is also a context.DeadlineExceeded.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "operation has timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// shown is what the client is told of err: its own words if it is an *Error.
func shown(err error) (e *Error, internal bool) {
	if errors.As(err, &e) {
		return e, false
	}
	return &Error{Message: "internal error"}, true
}

// refusal is the body of a CONNECT_ERROR.
type refusal struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitzero"`
}
