package client

import (
	"encoding/json"
	"errors"

	"github.com/sidereal-io/sidereal/client/internal/engine"
)

// Reasons of a disconnection, in the words of the official client. After the first two nothing reconnects by itself.
const (
	ReasonServerDisconnect = "io server disconnect" // the server disconnected this socket
	ReasonClientDisconnect = "io client disconnect" // Disconnect or Close was called here
	ReasonPingTimeout      = engine.ReasonPingTimeout
	ReasonTransportClose   = engine.ReasonTransportClose
	ReasonTransportError   = engine.ReasonTransportError
	ReasonParseError       = engine.ReasonParseError // the server sent what no server may send
	ReasonForcedClose      = engine.ReasonForcedClose
)

var (
	// ErrClosed reports that the Client was closed.
	ErrClosed = errors.New("client: closed")
	// ErrDisconnected reports that the socket was disconnected, by either side, while or before something was waited for. Whether
	// the server has seen what was sent is not known.
	ErrDisconnected = errors.New("client: socket disconnected")
	// ErrQueueFull reports that Config.MaxQueueBytes wait to be sent. Nothing was sent; the caller may try later.
	ErrQueueFull = errors.New("client: send queue full")
	// ErrGaveUp reports that Config.ReconnectionAttempts attempts failed in a row, or one with NoReconnection. It wraps beside the last
	// attempt's error. A later Connect begins anew.
	ErrGaveUp = errors.New("client: no connection")
	// ErrAckTimeout reports that Config.AckTimeout passed without an acknowledgement.
	ErrAckTimeout = errors.New("client: no acknowledgement in time")
	// ErrAnswered reports a second call of an Ack. Nothing was sent.
	ErrAnswered = errors.New("client: event was answered before")
	// ErrReserved reports the name of an event that clients and servers keep for themselves, such as "connect".
	ErrReserved = errors.New("client: reserved event name")
)

// ConnectError is the server's refusal of a CONNECT: there is no such namespace, or a middleware said no. The socket stays
// disconnected until Connect is called again.
type ConnectError struct {
	Namespace string
	Message   string
	Data      json.RawMessage // what the server's error had as its data; nil if nothing
}

func (e *ConnectError) Error() string {
	return "client: connect " + e.Namespace + ": refused by the server: " + e.Message
}

// RefusedError is the HTTP answer of a server that refused the handshake of a transport: its status, the Engine.IO error
// code (-1: none told) and message.
type RefusedError = engine.RefusedError

// Error is an error that a handler shows the server: as {"error": Message}, with "data" beside it if Data is not nil.
// Other errors are shown as "internal error".
type Error struct {
	Message string
	Data    any
}

func (e *Error) Error() string { return e.Message }
