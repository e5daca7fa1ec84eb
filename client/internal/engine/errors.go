package engine

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
)

// Reasons of the end of a session, in the words of the official client.
const (
	ReasonPingTimeout    = "ping timeout"
	ReasonTransportClose = "transport close"
	ReasonTransportError = "transport error"
	ReasonForcedClose    = "forced close"
	ReasonParseError     = "parse error"
)

var (
	// ErrClosed reports a session that has ended or is being closed. Nothing was sent.
	ErrClosed = errors.New("engine.io: connection closed")
	// ErrFull reports that Config.MaxQueue bytes wait to be sent. Nothing was sent; the session
	// stays.
	ErrFull = errors.New("engine.io: send queue full")
	// ErrTooLarge reports a message beyond Config.MaxMessage. The session ends.
	ErrTooLarge = errors.New("engine.io: message too large")
	// ErrProtocol reports bytes that no server may send. The session ends.
	ErrProtocol = errors.New("engine.io: protocol violated by the server")
)

// Refusal is the HTTP answer of a server that refused a handshake.
type Refusal struct {
	Status  int
	Code    int    // the server's Engine.IO error code, or -1 if it told none
	Message string // of the server; may be empty
}

// refused reads the beginning of an answer's body for the server's own words, and returns the error
// for them.
func (cfg *Config) refused(status int, body io.Reader) error {
	text, _ := io.ReadAll(io.LimitReader(body, 1<<10)) // best effort: the status is the error
	var told struct {
		Code    *int
		Message string
	}
	if json.Unmarshal(text, &told) == nil && told.Code != nil {
		return cfg.Refused(Refusal{status, *told.Code, told.Message})
	}
	r := Refusal{Status: status, Code: -1}
	if line, _, _ := strings.Cut(string(text), "\n"); !strings.HasPrefix(line, "<") {
		r.Message = strings.ToValidUTF8(strings.TrimSpace(line), "?")
	}
	return cfg.Refused(r)
}

// reasonOf names why reading or writing failed.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errPingTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonPingTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe), errors.Is(err, errCloseFrame), errors.Is(err, errClosePacket):
		return ReasonTransportClose
	}
	return ReasonTransportError
}

var (
	errPingTimeout = errors.New("engine.io: no ping from the server in time")
	errClosePacket = errors.New("engine.io: closed by the server")
	errCloseFrame  = errors.New("engine.io: websocket closed by the server")
)
