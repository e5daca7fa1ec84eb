package socketio

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
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
	// ErrDisconnected reports a socket that isn't connected any more.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrReserved reports the name of an event of the protocol, such as "disconnect".
	ErrReserved = errors.New("socketio: event name is reserved")
	// ErrAnswered reports a second answer to one event. The client got the first.
	ErrAnswered = errors.New("socketio: event was answered before")
	// ErrTooManyAcks reports that a socket owes Config.MaxPendingAcks answers.
	ErrTooManyAcks = errors.New("socketio: socket owes too many answers")
	// ErrParent reports an operation that a parent of namespaces doesn't have. Call it on each of
	// them.
	ErrParent = errors.New("socketio: not supported on a parent of namespaces")
)

// AnswerError is an error that a client answered: {"error": Message, "data": Data}. A handler that
// returns it tells its own client only "internal error".
type AnswerError = packet.AnswerError

// ErrNoPeer reports an event for an unknown server: it left, or it is a Node server, which has no
// name.
var ErrNoPeer = cluster.ErrNoPeer

// MissingError reports that some servers of the cluster didn't answer in time.
type MissingError = cluster.MissingError

// ErrTimeout reports that answers didn't come in time. errors.Is(ErrTimeout,
// context.DeadlineExceeded) is true.
var ErrTimeout error = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string        { return "operation has timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// shown returns what a client that connects is told of err, and whether err is internal.
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
