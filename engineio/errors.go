package engineio

import (
	"errors"
	"net/http"
)

// ErrClosed reports a send to a session that has ended or is ending. The session calls Closed.
var ErrClosed = errors.New("engineio: session closed")

// ErrForbidden refuses a handshake with the text "Forbidden": see Config.AllowRequest.
var ErrForbidden = errors.New("engineio: forbidden")

// ErrSlowClient ends a session whose client is too slow: more than Config.MaxQueueBytes wait for
// it.
var ErrSlowClient = errors.New("engineio: client too slow, its queue is full")

// Reasons of the end of a session, for Receiver.Closed. Clients and Node servers use the same
// words.
const (
	TransportError = "transport error"      // the client broke the rules of its transport
	TransportClose = "transport close"      // the client closed, or its connection was cut
	ForcedClose    = "forced close"         // Session.Close
	PingTimeout    = "ping timeout"         // no pong in time
	ParseError     = "parse error"          // the client sent a malformed packet
	ShuttingDown   = "server shutting down" // Drain, or the end of Run
)

var errSID = errors.New("engineio: Config.NewSID gave a sid that is empty or needs escaping")

// Errors that end a session with TransportError.
var (
	errPollOverlap = errors.New("engineio: poll while another is pending")
	errPostOverlap = errors.New("engineio: post while another is being received")
	errPollAborted = errors.New("engineio: poll aborted")
	errPostAborted = errors.New("engineio: post aborted")
	errOctetStream = errors.New("engineio: post of application/octet-stream")
	errClientPing  = errors.New("engineio: ping from the client")
)

// The protocol's codes of refused requests.
const (
	CodeUnknownTransport    = 0
	CodeUnknownSID          = 1
	CodeBadHandshakeMethod  = 2
	CodeBadRequest          = 3
	CodeForbidden           = 4
	CodeUnsupportedProtocol = 5
)

var codeMessages = [...]string{
	CodeUnknownTransport:    "Transport unknown",
	CodeUnknownSID:          "Session ID unknown",
	CodeBadHandshakeMethod:  "Bad handshake method",
	CodeBadRequest:          "Bad request",
	CodeForbidden:           "Forbidden",
	CodeUnsupportedProtocol: "Unsupported protocol version",
}

// ConnectionError is a refused request. The client gets Code and Message, or the text of
// AllowRequest's error.
type ConnectionError struct {
	Request *http.Request
	Code    int
	Message string // of the code
	// Context has details by the names that the reference uses: "transport", "sid", "method",
	// "name" (INVALID_ORIGIN, TRANSPORT_MISMATCH, PROTOCOL_MISMATCH, TRANSPORT_HANDSHAKE_ERROR,
	// ID_GENERATION_ERROR), "origin", "previousTransport", "error", "message" (what AllowRequest
	// said, or nil), which are strings, and "protocol" and "previousProtocol", which are ints.
	Context map[string]any
}

// Error returns the message that the client gets.
func (e *ConnectionError) Error() string { return "engineio: " + e.told() }

// told is the message that the client gets.
func (e *ConnectionError) told() string {
	if message, _ := e.Context["message"].(string); message != "" {
		return message
	}
	return e.Message
}

func refusal(code int, context map[string]any) *ConnectionError {
	return &ConnectionError{Code: code, Message: codeMessages[code], Context: context}
}
