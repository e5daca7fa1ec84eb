package adapter

import (
	"github.com/sidereal-io/sidereal/adapter/internal/classic"
	"github.com/sidereal-io/sidereal/adapter/internal/link"
)

// Classic is the form of @socket.io/redis-adapter's createAdapter and of @socket.io/redis-emitter:
// every server hears every broadcast. It needs the least of Redis.
type Classic struct {
	// SpecificResponses sends answers to a Node server only to the server that asked, like Node's
	// option publishOnSpecificResponseChannel. That is less traffic, but servers older than version
	// 7 of Node's adapter don't hear such answers.
	SpecificResponses bool
	// Parser encodes the messages that aren't JSON in another way than Node's msgpack: Node's
	// option parser. All servers and emitters must have the same. Nil means msgpack.
	Parser Parser
}

// Parser encodes messages of the classic form: compressed, encrypted, or in another format. Node's
// servers need one that does the same, as their option parser. Its input is a value in msgpack.
// Both methods may be called concurrently. They must not write to their argument, and must not use
// a result that they have returned.
type Parser interface {
	// Encode returns the bytes to publish for a message. They must not begin with '{' unless they
	// are JSON, because receivers read that as JSON.
	Encode(msgpack []byte) ([]byte, error)
	// Decode returns the message of published bytes. An error drops that message.
	Decode(published []byte) (msgpack []byte, err error)
}

func (c Classic) validate() error { return nil }

func (c Classic) open(common link.Config) (running, error) {
	return classic.New(common, classic.Config{SpecificResponses: c.SpecificResponses, Parser: c.Parser})
}
