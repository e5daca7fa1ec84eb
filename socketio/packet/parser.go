package packet

// Parser writes and reads packets in a form of its own, in place of this package's, as the option
// "parser" of Node's servers and clients does. Both ends of a connection need the same one. It is
// called concurrently.
type Parser interface {
	// Encode makes the Engine.IO messages of a packet, in their order. The payload is well-formed
	// and must not be changed or kept.
	Encode(p Packet) []Message
	// NewDecoder makes what reads the messages of one connection.
	NewDecoder() Decoder
}

// Decoder reads the messages of one connection, one after the other. It bounds what it keeps.
type Decoder interface {
	// Decode takes a message. It reports whether that made a packet whole, which it then returns;
	// an error closes the connection. data is only valid during the call, which must not block.
	Decode(data []byte, binary bool) (p Packet, whole bool, err error)
}

// Packet is a packet on its way through a Parser. Its type is never BinaryEvent or BinaryAck, and
// Attachments of the header has no meaning: the payload has the binary parts.
type Packet struct {
	Header
	// Payload is the array of an event or an answer, and the object of a CONNECT or CONNECT_ERROR.
	// Without one its JSON is nil.
	Payload Payload
}

// Message is one Engine.IO message of an encoded packet.
type Message struct {
	Data   []byte
	Binary bool // else Data is UTF-8
}
