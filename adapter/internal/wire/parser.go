package wire

// Parser encodes the classic adapter's messages that aren't JSON: Node's option parser. A message
// is one msgpack value, as Node's own encoder (notepack) writes it. Both methods may be called
// concurrently. They must not change their argument, and give up their result.
type Parser interface {
	// Encode returns the bytes to publish for a message. They must not begin with '{' unless they
	// are JSON, because receivers read them as such.
	Encode(msgpack []byte) ([]byte, error)
	// Decode returns the message in published bytes. An error drops that message.
	Decode(published []byte) (msgpack []byte, err error)
}

// Parsed encodes a message with p, unless err isn't nil. p may be nil.
func Parsed(p Parser, msg []byte, err error) ([]byte, error) {
	if err != nil || p == nil || len(msg) > 0 && msg[0] == '{' {
		return msg, err
	}
	return p.Encode(msg)
}

// Unparsed decodes published bytes with p, which may be nil. If mayBeJSON, bytes that begin as
// JSON stay as they are, because requests and answers may be JSON.
func Unparsed(p Parser, published []byte, mayBeJSON bool) ([]byte, error) {
	if p == nil || mayBeJSON && len(published) > 0 && published[0] == '{' {
		return published, nil
	}
	return p.Decode(published)
}
