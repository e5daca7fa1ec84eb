package adapter

import (
	"encoding/json"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio"
)

// wireSocket describes a socket of this process to another server.
func wireSocket(s socketio.SocketInfo) (wire.Socket, error) {
	handshake, err := s.Handshake.MarshalJSON()
	if err != nil {
		return wire.Socket{}, err
	}
	return wire.Socket{ID: s.ID, Handshake: handshake, Rooms: s.Rooms, Data: object(s.Data), Attachments: s.Attachments, Dates: s.Dates}, nil
}

// socketInfo reads another server's description of a socket. A handshake that cannot be read is left out: it should not
// cost the socket, nor the others.
func socketInfo(s wire.Socket) socketio.SocketInfo {
	info := socketio.SocketInfo{ID: s.ID, Rooms: s.Rooms, Data: object(s.Data), Attachments: s.Attachments}
	_ = json.Unmarshal(s.Handshake, &info.Handshake)
	info.Handshake.Auth = object(info.Handshake.Auth)
	return info
}

// object is text, or an empty object where there is none.
func object(text []byte) []byte {
	if len(text) == 0 || string(text) == "null" {
		return []byte("{}")
	}
	return text
}
