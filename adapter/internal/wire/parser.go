package wire

// Parser is how messages of the classic adapter are encoded that are not JSON: Node's option parser. A message is a value
// in msgpack, as Node's own encoder (notepack) writes it. Both methods may be called concurrently, and must not write to what
// they are given; what they return is not theirs any more.
type Parser interface {
	// Encode returns what is published for a message. It must not begin with '{', unless it is JSON, which receivers
	// read as such.
	Encode(msgpack []byte) ([]byte, error)
	// Decode returns the message that was published. An error costs that message.
	Decode(published []byte) (msgpack []byte, err error)
}

// Parsed encodes a message that was made, unless that failed, by a parser that may be nil.
func Parsed(p Parser, msg []byte, err error) ([]byte, error) {
	if err != nil || p == nil || len(msg) > 0 && msg[0] == '{' {
		return msg, err
	}
	return p.Encode(msg)
}

// Unparsed decodes what was published by a parser that may be nil. What begins as JSON is only where it may be a request
// or an answer.
func Unparsed(p Parser, published []byte, mayBeJSON bool) ([]byte, error) {
	if p == nil || mayBeJSON && len(published) > 0 && published[0] == '{' {
		return published, nil
	}
	return p.Decode(published)
}
