package packet

import (
	"errors"
	"fmt"
	"strconv"
)

// Type is the first character of a packet.
type Type byte

// The packet types of the Socket.IO protocol, revision 5.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
	BinaryEvent
	BinaryAck
)

// NoID is the Header.ID of a packet that carries no acknowledgement id.
const NoID = -1

// maxIDDigits keeps an acknowledgement id within an int64.
const maxIDDigits = 18

// Errors of Parse. Each is the sender's fault; the connection is closed.
var (
	ErrType        = errors.New("packet: unknown type")
	ErrAttachments = errors.New("packet: illegal number of attachments")
	ErrID          = errors.New("packet: illegal acknowledgement id")
)

// Header is what precedes the JSON text of a packet.
type Header struct {
	Type        Type
	Attachments int    // binary messages that follow; only with BinaryEvent and BinaryAck
	Namespace   string // "/" when the packet names none
	ID          int64  // acknowledgement id, or NoID
}

// Parse splits the text of one packet into its header and its JSON body, which is nil when the
// packet ends before it. The body is a part of b and is not looked at. The number of attachments is
// returned as written: the caller knows its limit.
func Parse(b []byte) (Header, []byte, error) {
	h := Header{Namespace: "/", ID: NoID}
	if len(b) == 0 || b[0] < '0' || b[0] > '6' {
		return h, nil, ErrType
	}
	h.Type = Type(b[0] - '0')
	b = b[1:]
	if h.Type == BinaryEvent || h.Type == BinaryAck {
		n := digits(b)
		if n == 0 || n > 9 || n == len(b) || b[n] != '-' {
			return h, nil, ErrAttachments
		}
		h.Attachments = int(natural(b[:n]))
		b = b[n+1:]
	}
	if len(b) > 0 && b[0] == '/' {
		end := 0
		for end < len(b) && b[end] != ',' {
			end++
		}
		if end > 1 {
			h.Namespace = string(b[:end])
		}
		b = b[min(end+1, len(b)):]
	}
	b, err := h.parseID(b)
	if err != nil || len(b) == 0 {
		return h, nil, err
	}
	return h, b, nil
}

// parseID takes the acknowledgement id off b. JavaScript's parser counts blanks among the digits
// and reads blanks alone as 0, so "42 1[...]" has the id 1.
func (h *Header) parseID(b []byte) ([]byte, error) {
	end, first, last := 0, -1, -1
	for ; end < len(b); end++ {
		switch c := b[end]; {
		case c >= '0' && c <= '9':
			if first < 0 {
				first = end
			}
			last = end + 1
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			continue
		}
		break
	}
	if end == 0 {
		return b, nil
	}
	h.ID = 0
	if first >= 0 {
		if digits(b[first:last]) != last-first || last-first > maxIDDigits {
			return nil, ErrID
		}
		h.ID = natural(b[first:last])
	}
	return b[end:], nil
}

func digits(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// natural reads decimal digits; the caller has bounded their count.
func natural(b []byte) (n int64) {
	for _, c := range b {
		n = n*10 + int64(c-'0')
	}
	return n
}

// Append appends the wire text of a packet: the header, then body as it stands.
func Append(dst []byte, h Header, body []byte) []byte {
	dst = append(dst, '0'+byte(h.Type))
	if h.Type == BinaryEvent || h.Type == BinaryAck {
		dst = strconv.AppendInt(dst, int64(h.Attachments), 10)
		dst = append(dst, '-')
	}
	if h.Namespace != "/" && h.Namespace != "" {
		dst = append(dst, h.Namespace...)
		dst = append(dst, ',')
	}
	if h.ID >= 0 {
		dst = strconv.AppendInt(dst, h.ID, 10)
	}
	return append(dst, body...)
}

var typeNames = [...]string{"CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"}

// String is the name the protocol gives to the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", byte(t))
}

// Reserved reports whether name may not be the name of an event: clients and servers
// keep these names for the life of the connection itself.
func Reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
