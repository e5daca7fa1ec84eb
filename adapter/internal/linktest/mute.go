package linktest

import (
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Mute is a namespace whose sockets are counted, not reached: what remains is the adapter's own
// work.
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

// Apply implements cluster.Local.
func (m *Mute) Apply(cluster.Order) {}

// Answer implements cluster.Local: it has none.
func (m *Mute) Answer(cluster.Question, func(cluster.Answer)) {}
