package packet

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// AnswerError is the failure that an answer reports: see Args.Err.
type AnswerError struct {
	// Message is the member "error", or its JSON text if that isn't a string. The other side chose
	// it, and it may be as long as a packet.
	Message string
	// Data is the member "data"; null if there is none.
	Data Value
}

// maxMessage limits the bytes of an answer's message in the text of an error. That text goes into
// logs.
const maxMessage = 200

// Error returns the message, shortened to 200 bytes.
func (e *AnswerError) Error() string {
	message := e.Message
	if len(message) > maxMessage {
		end := maxMessage
		for end > 0 && !utf8.RuneStart(message[end]) {
			end--
		}
		message = message[:end] + "…"
	}
	return "answered with an error: " + strings.ToValidUTF8(message, "\ufffd")
}

// Err returns an *AnswerError if the arguments are an answer that reports a failure: the first of
// them is an object whose member "error" is true for JavaScript, so not null, false, 0 or "". The
// handlers of this module answer that way when they return an error.
func (a Args) Err() error {
	if len(a.spans) == 0 {
		return nil
	}
	s := a.spans[0]
	if text := a.text[s.from:s.to]; text[0] != '{' || !bytes.Contains(text, []byte(`"error"`)) {
		return nil // nearly every answer
	}
	var failure struct {
		Error Value `json:"error,case:strict"`
		Data  Value `json:"data,case:strict"`
	}
	if err := a.Decode(0, &failure); err != nil {
		return err
	}
	message := failure.Error.String()
	switch message {
	case "null", "false", "0", `""`:
		return nil
	}
	if message[0] == '"' {
		if err := failure.Error.Decode(&message); err != nil {
			return err
		}
	}
	return &AnswerError{Message: message, Data: failure.Data}
}
