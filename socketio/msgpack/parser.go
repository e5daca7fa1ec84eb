package msgpack

import (
	"errors"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ErrMalformed reports a message that is no packet: the client is at fault, and its connection is
// closed.
var ErrMalformed = errors.New("msgpack: malformed packet")

// Parser is the parser. Its zero value is ready.
type Parser struct{}

var _ packet.Parser = Parser{}

// Encode makes the message of a packet.
func (Parser) Encode(p packet.Packet) []packet.Message {
	return []packet.Message{{Data: appendPacket(make([]byte, 0, 64+len(p.Payload.JSON)), p), Binary: true}}
}

// NewDecoder makes the decoder of a connection. It keeps nothing: a message is a packet.
func (Parser) NewDecoder() packet.Decoder { return decoder{} }

type decoder struct{}

// Decode reads a packet.
func (decoder) Decode(data []byte, binary bool) (packet.Packet, bool, error) {
	if !binary {
		return packet.Packet{}, false, ErrMalformed
	}
	p, err := readPacket(data)
	return p, err == nil, err
}
