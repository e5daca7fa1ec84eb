package msgpack

import (
	"errors"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ErrMalformed reports a message that is no packet: the client is at fault, and its connection is closed.
var ErrMalformed = errors.New("msgpack: malformed packet")

// Parser is the parser. Its zero value is ready.
type Parser struct{}

var _ socketio.Parser = Parser{}

// Encode makes the message of a packet.
func (Parser) Encode(p socketio.Packet) []*engineio.Message {
	return []*engineio.Message{engineio.NewBinary(appendPacket(make([]byte, 0, 64+len(p.Payload.JSON)), p))}
}

// NewDecoder makes the decoder of a connection. It keeps nothing: a message is a packet.
func (Parser) NewDecoder() socketio.Decoder { return decoder{} }

type decoder struct{}

// Decode reads a packet.
func (decoder) Decode(data []byte, binary bool) (socketio.Packet, bool, error) {
	if !binary {
		return socketio.Packet{}, false, ErrMalformed
	}
	p, err := readPacket(data)
	return p, err == nil, err
}

// maxDepth bounds how deep arrays and maps are nested.
const maxDepth = packet.MaxDepth
