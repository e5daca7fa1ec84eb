package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Reasons of a disconnection, in the words of the official client. After the first two the client
// doesn't reconnect by itself.
const (
	ReasonServerDisconnect = "io server disconnect" // the server disconnected this socket
	ReasonClientDisconnect = "io client disconnect" // Disconnect or Close was called here
	ReasonPingTimeout      = engine.ReasonPingTimeout
	ReasonTransportClose   = engine.ReasonTransportClose
	ReasonTransportError   = engine.ReasonTransportError
	ReasonParseError       = engine.ReasonParseError // the server broke the protocol
	ReasonForcedClose      = engine.ReasonForcedClose
)

var (
	// ErrClosed reports that the Client was closed.
	ErrClosed = errors.New("client: closed")
	// ErrDisconnected reports that the socket was disconnected, by either side, during a wait or
	// before it. The server may have got what was sent.
	ErrDisconnected = errors.New("client: socket disconnected")
	// ErrQueueFull reports that Config.MaxQueueBytes wait to be sent. Nothing was sent.
	ErrQueueFull = errors.New("client: send queue full")
	// ErrGaveUp reports that Config.ReconnectionAttempts attempts failed in a row, or one with
	// NoReconnection. The last attempt's error is wrapped beside it. A later Connect starts anew.
	ErrGaveUp = errors.New("client: no connection")
	// ErrAckTimeout reports that Config.AckTimeout passed without an acknowledgement.
	ErrAckTimeout = errors.New("client: no acknowledgement in time")
	// ErrAnswered reports a second call of an Ack. Nothing was sent.
	ErrAnswered = errors.New("client: event was answered before")
	// ErrReserved reports the name of an event of the protocol, such as "connect".
	ErrReserved = errors.New("client: reserved event name")
)

// ConnectError is the server's refusal of a socket: the namespace doesn't exist, or a middleware
// refused. The socket stays disconnected until the next Connect.
type ConnectError struct {
	Namespace string
	Message   string
	Data      json.RawMessage // what the server's error had as its data; nil if nothing
}

// Error returns the namespace and the server's message.
func (e *ConnectError) Error() string {
	return "client: connect " + e.Namespace + ": refused by the server: " + e.Message
}

// RefusedError is the HTTP answer of a server that refused the handshake of a transport.
type RefusedError struct {
	Status  int    // of HTTP
	Code    int    // of Engine.IO, or -1 if the server told none, as on WebSocket handshakes
	Message string // of the server; may be empty
}

// Error returns the status, and the server's words if there are any.
func (e *RefusedError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("engine.io: server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("engine.io: server answered %d: %s", e.Status, e.Message)
}

// AnswerError is an error of the server's handler: its answer was {"error": Message, "data": Data}.
type AnswerError = packet.AnswerError

// Error is an error of a handler that the server may see, as {"error": Message, "data": Data}. Of
// other errors it sees "internal error".
type Error struct {
	Message string
	Data    any
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }
