package cluster

import (
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Order is an operation that other servers carry out without an answer.
type Order struct {
	Kind OrderKind
	// Target selects the sockets that join, leave or disconnect.
	Target Target
	// Rooms are the rooms to join or to leave.
	Rooms []string
	// CloseTransport also closes the connections of sockets that disconnect.
	CloseTransport bool
	// Event is the event to raise: ["event",args...].
	Event packet.Payload
	// Peer is the ID of the only server that raises Event. If it is unknown, Order returns
	// ErrNoPeer. An empty Peer means all other servers.
	Peer string
}

// OrderKind says what an Order does.
type OrderKind int

// The kinds of orders.
const (
	Join       OrderKind = iota + 1 // the sockets join Rooms
	Leave                           // the sockets leave Rooms
	Disconnect                      // the sockets disconnect
	Raise                           // the servers run their OnServer handlers for Event
)

// Question is a request that other servers answer.
type Question struct {
	Kind QuestionKind
	// Target selects the sockets of AskSockets and AskClients.
	Target Target
	// Event is the event of AskClients and AskServers: ["event",args...].
	Event packet.Payload
	// Flags are those of AskClients's event.
	Flags Flags
	// Timeout limits how long servers wait for the answers of AskClients.
	Timeout time.Duration
	// Peer is the ID of the only server that AskServers asks. If it is unknown, Ask returns
	// ErrNoPeer. An empty Peer means all other servers.
	Peer string
}

// QuestionKind says what a Question asks for.
type QuestionKind int

// The kinds of questions, and the fields of their answers.
const (
	// AskSockets asks for descriptions of sockets. Each server answers once, with Sockets.
	AskSockets QuestionKind = iota + 1
	// AskRooms asks for the rooms of all sockets; a socket's own id is one of its rooms. Each
	// server answers once, with Rooms. Rooms may be named more than once.
	AskRooms
	// AskServers raises an event. Each server answers once, with Payload.
	AskServers
	// AskClients sends an event to clients. Each server answers once with Clients, the number of
	// clients asked there, and, before or after that, once with Ack and Payload for each client
	// that acknowledges the event.
	AskClients
)

// Answer is an answer to a Question, whose kind says which fields have a value.
type Answer struct {
	Sockets []SocketInfo
	Rooms   []string
	Clients int
	Ack     bool // Payload is a client's acknowledgement
	Payload packet.Payload
}
