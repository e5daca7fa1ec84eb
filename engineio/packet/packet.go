package packet

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// Type is what a packet is for. Its text form is its digit.
type Type byte

// The packet types of Engine.IO v4.
const (
	Open    Type = iota // begins a session; JSON of OpenData
	Close               // asks the other side to end the session
	Ping                // heartbeat from the server; "probe" from a client that upgrades
	Pong                // the answer to a ping, with the ping's data
	Message             // the user's data
	Upgrade             // the client has switched to the probed transport
	Noop                // ends a pending poll with nothing in it
)

// String gives the name that the protocol uses for t.
func (t Type) String() string {
	switch t {
	case Open:
		return "open"
	case Close:
		return "close"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	case Message:
		return "message"
	case Upgrade:
		return "upgrade"
	case Noop:
		return "noop"
	}
	return fmt.Sprintf("type(%d)", byte(t))
}

// ErrInvalid reports bytes that are no packet: empty, or beginning with neither a type digit nor
// "b". The sender is at fault; a server ends the session with "parse error".
var ErrInvalid = errors.New("packet: invalid engine.io packet")

// Packet is one unit of the protocol.
type Packet struct {
	Type   Type
	Binary bool // only with Message
	Data   []byte
}

// AppendText appends p as it stands in a WebSocket text frame or in a payload: the type digit and
// the data, or "b" and padded base64 for a binary message.
func AppendText(dst []byte, p Packet) []byte {
	if p.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, 'b'), p.Data)
	}
	return append(append(dst, '0'+byte(p.Type)), p.Data...)
}

// ParseText reads one packet from text. Data aliases b unless the packet is binary.
func ParseText(b []byte) (Packet, error) {
	if len(b) == 0 {
		return Packet{}, ErrInvalid
	}
	switch c := b[0]; {
	case c >= '0' && c <= '6':
		return Packet{Type: Type(c - '0'), Data: b[1:]}, nil
	case c == 'b':
		return Packet{Type: Message, Binary: true, Data: decodeBase64(b[1:])}, nil
	}
	return Packet{}, ErrInvalid
}

// decodeBase64 is as lenient as the reference: both alphabets, padding optional, other characters
// skipped, the end at the first "=", a lone last character dropped.
func decodeBase64(s []byte) []byte {
	dst := make([]byte, base64.StdEncoding.DecodedLen(len(s)+3))
	if n, err := base64.StdEncoding.Decode(dst, s); err == nil {
		return dst[:n]
	}
	dst = dst[:0]
	var bits uint32
	var have uint
	for _, c := range s {
		if c == '=' {
			break
		}
		v := base64Value(c)
		if v < 0 {
			continue
		}
		bits, have = bits<<6|uint32(v), have+6
		if have >= 8 {
			have -= 8
			dst = append(dst, byte(bits>>have))
		}
	}
	return dst
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}
