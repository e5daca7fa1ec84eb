package socketio

import (
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Recovery configures connection state recovery.
type Recovery struct{}

// connectPacket tells a client that it is connected.
func connectPacket(s *Socket) []*engineio.Message {
	return encodePayload(packet.Header{Type: packet.Connect, Namespace: s.namespace, ID: packet.NoID}, Payload{JSON: []byte(`{"sid":"` + s.id + `"}`)})
}
