package link

import (
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// wireSocket describes a socket of this process to another server.
func wireSocket(s cluster.SocketInfo) wire.Socket {
	return wire.Socket{
		ID: s.ID, Handshake: object(s.Handshake), Rooms: s.Rooms, Data: object(s.Data.JSON), Attachments: s.Data.Attachments, Dates: s.Data.Dates,
	}
}

// socketInfo reads another server's description of a socket.
func socketInfo(s wire.Socket) cluster.SocketInfo {
	return cluster.SocketInfo{
		ID: s.ID, Handshake: object(s.Handshake), Rooms: s.Rooms,
		Data: packet.Payload{JSON: object(s.Data), Attachments: s.Attachments},
	}
}

// object returns text, or an empty object if there is none.
func object(text []byte) []byte {
	if len(text) == 0 || string(text) == "null" {
		return []byte("{}")
	}
	return text
}
