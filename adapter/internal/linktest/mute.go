package linktest

import (
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Mute is a namespace whose sockets are counted, not reached: what remains is the adapter's own work.
type Mute struct {
	Delivered int
	rooms     map[string]bool
}

// NewMute makes a namespace with somebody in each of the rooms.
func NewMute(rooms ...string) *Mute {
	m := &Mute{rooms: make(map[string]bool)}
	for _, room := range rooms {
		m.rooms[room] = true
	}
	return m
}

func (m *Mute) Name() string             { return "/" }
func (m *Mute) HasRoom(room []byte) bool { return m.rooms[string(room)] }
func (m *Mute) Deliver(b *cluster.Broadcast) {
	for _, room := range b.Rooms {
		if m.rooms[room] {
			m.Delivered++
		}
	}
}
func (m *Mute) DeliverWithAck(*cluster.Broadcast, time.Duration, func(packet.Payload)) int {
	return 0
}
func (m *Mute) Fetch(cluster.Target) []cluster.SocketInfo            { return nil }
func (m *Mute) ApplyJoin(cluster.Target, []string)                   {}
func (m *Mute) ApplyLeave(cluster.Target, []string)                  {}
func (m *Mute) ApplyDisconnect(cluster.Target, bool)                 {}
func (m *Mute) ServerSideEvent(packet.Payload, func(packet.Payload)) {}
func (m *Mute) Rooms() []string                                      { return nil }
