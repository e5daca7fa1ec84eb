//go:build e2e

package interop

// call is one operation, for a server or an emitter of either language. Rooms are texts, or numbers
// as JavaScript has them.
type call struct {
	Do       string `json:"do"`
	From     string `json:"from,omitempty"` // the client whose socket does it
	Rooms    []any  `json:"rooms,omitempty"`
	Except   []any  `json:"except,omitempty"`
	Volatile bool   `json:"volatile,omitempty"`
	Compress *bool  `json:"compress,omitempty"`
	Local    bool   `json:"local,omitempty"`
	Timeout  int    `json:"timeout,omitempty"` // ms
	Event    string `json:"event,omitempty"`
	Join     []any  `json:"join,omitempty"` // or leave
	Close    bool   `json:"close"`
}

// The rooms that the clients a, b and c of every server are in.
const (
	oddRoom  = "a room #1 [*]? é"
	number   = 42
	likeAnID = "a room of 20 letters" // as long as the id of a socket, which Node's sharded adapter takes it for
)

var clientRooms = map[string][]any{
	"a": {"one", "all", number, oddRoom, likeAnID},
	"b": {"two", "all", "42"},
	"c": {"doomed"},
}

// ownRoom stands for a room that nobody has used before, numberedRoom for one with a number; idOfA
// for the id of each client a, one after another.
const (
	ownRoom      = "\x00own"
	numberedRoom = "\x00numbered"
	idOfA        = "\x00a"
)

// operation is a row of the table.
type operation struct {
	name     string
	payloads []payload
	call
	emitter bool   // an emitter can do it
	members bool   // what counts is who is in the call's own room afterwards
	leaves  bool   // everybody called a is in that room before
	ends    bool   // clients c are disconnected, and come back
	events  int    // server-side events that every other server gets
	only    string // the only transport in which Node's adapter has it
	silent  bool   // nothing is to be noticed elsewhere
}

var (
	yes, no = true, false
	all     = []any{"all"}
	one     = []any{"one"}
	doomed  = []any{"doomed"}
)

// patience of calls that wait for answers, in ms. All come.
const answersWithin = 20_000

var operations = []operation{
	{name: "emit to everyone", payloads: small, emitter: true, call: call{Do: "emit"}},
	{name: "emit to a room", payloads: payloads, emitter: true, call: call{Do: "emit", Rooms: one}},
	{name: "emit to several rooms", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{"one", "two", "nobody"}}},
	{name: "emit to a room that is a number", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{number}}},
	{name: "emit to the room of its text", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{"42"}}},
	{name: "emit to a room with an odd name", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{oddRoom}}},
	{name: "emit to a room that looks like a socket", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{likeAnID}}},
	{name: "emit to one socket's id", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: []any{idOfA}}},
	{name: "emit to all but a room", payloads: plain, emitter: true, call: call{Do: "emit", Except: one}},
	{name: "emit to a room but not another", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: all, Except: []any{number, "nobody"}}},
	{name: "emit volatile", payloads: plain, emitter: true, call: call{Do: "emit", Volatile: true}},
	{name: "emit, compress on", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: all, Compress: &yes}},
	{name: "emit, compress off", payloads: plain, emitter: true, call: call{Do: "emit", Rooms: all, Compress: &no}},
	{name: "emit local", payloads: plain, silent: true, call: call{Do: "emit", Local: true}},
	{name: "emit from a socket to the others", payloads: plain, call: call{Do: "emit", From: "a"}},
	{name: "emit from a socket to a room", payloads: plain, call: call{Do: "emit", From: "a", Rooms: one}},
	{name: "emit with acks", payloads: small, call: call{Do: "ask", Timeout: answersWithin}},
	{name: "emit to a room with acks", payloads: payloads, call: call{Do: "ask", Rooms: one, Timeout: answersWithin}},
	{name: "emit to nobody with acks", payloads: plain, silent: true, call: call{Do: "ask", Rooms: []any{"nobody"}, Timeout: answersWithin}},
	{name: "fetchSockets", payloads: none, call: call{Do: "fetch"}},
	{name: "fetchSockets in a room", payloads: none, call: call{Do: "fetch", Rooms: all, Except: []any{number}}},
	{name: "remote socket: emit", payloads: plain, call: call{Do: "remote emit", Rooms: one}},
	{name: "remote socket: emit with ack", payloads: payloads, call: call{Do: "remote ask", Rooms: one, Timeout: answersWithin}},
	{name: "remote socket: join", payloads: none, members: true, call: call{Do: "remote join", Rooms: one, Join: []any{ownRoom}}},
	{name: "remote socket: leave", payloads: none, members: true, leaves: true, call: call{Do: "remote leave", Rooms: one, Join: []any{ownRoom}}},
	{name: "remote socket: disconnect", payloads: none, ends: true, call: call{Do: "remote disconnect", Rooms: doomed}},
	{name: "socketsJoin", payloads: none, emitter: true, members: true, call: call{Do: "join", Rooms: one, Join: []any{ownRoom}}},
	{name: "socketsJoin, a number", payloads: none, emitter: true, members: true, call: call{Do: "join", Rooms: all, Except: one, Join: []any{"another", numberedRoom}}},
	{name: "socketsLeave", payloads: none, emitter: true, members: true, leaves: true, call: call{Do: "leave", Except: []any{"two"}, Join: []any{ownRoom}}},
	{name: "socketsLeave, a number", payloads: none, emitter: true, members: true, leaves: true, call: call{Do: "leave", Rooms: []any{number}, Join: []any{numberedRoom}}},
	{name: "disconnectSockets", payloads: none, emitter: true, ends: true, call: call{Do: "disconnect", Rooms: doomed}},
	{name: "disconnectSockets, connections too", payloads: none, emitter: true, ends: true, call: call{Do: "disconnect", Rooms: doomed, Close: true}},
	{name: "serverSideEmit", payloads: payloads, emitter: true, events: 1, call: call{Do: "serverSideEmit", Event: "tell"}},
	{name: "serverSideEmit with acks", payloads: payloads, events: 1, call: call{Do: "serverSideAsk", Event: "ask"}},
	{name: "allRooms", payloads: none, only: "redis", call: call{Do: "allRooms"}},
	{name: "serverCount", payloads: none, call: call{Do: "serverCount"}},
}
