package emitter

import (
	"errors"

	"github.com/redis/go-redis/v9"
)

// Parser encodes the messages of the classic form: compressed, encrypted, or in another format than Node's
// msgpack. It is the servers' adapter.Parser. Both methods may be called concurrently.
type Parser interface {
	// Encode returns the bytes to publish for a message. They must not begin with '{' unless they are JSON.
	Encode(msgpack []byte) ([]byte, error)
	// Decode returns the message of published bytes.
	Decode(published []byte) (msgpack []byte, err error)
}

// Config configures an emitter. The zero value of a field means its default, which is Node's where Node has it.
type Config struct {
	// Redis is the client to publish with: of one server, Sentinel or a Cluster. It stays the caller's. Its option
	// ContextTimeoutEnabled must be set, else a deadline would bound nothing; a context that is cancelled before its
	// deadline is noticed once the read or write under way ends, which the client's own timeouts bound. By default the
	// client tries again when an answer is lost, and the message may then arrive twice; MaxRetries -1 makes that at most once.
	Redis redis.UniversalClient
	// Key begins the names of all channels; it is that of the servers. Node's option key. Default "socket.io".
	Key string
	// Parser is that of the servers, where they have one: see adapter.Config. Of the classic form alone.
	Parser Parser
	// MaxMessageBytes bounds one message. Sidereal's servers drop larger ones than their own bound, which has the same
	// default: 64 MiB.
	MaxMessageBytes int
}

func (c Config) withDefaults() Config {
	if c.Key == "" {
		c.Key = "socket.io"
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 64 << 20
	}
	return c
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	switch {
	case c.Redis == nil:
		errs = append(errs, errors.New("emitter: Config needs a Redis"))
	case !heedsContext(c.Redis):
		errs = append(errs, errors.New("emitter: the Redis client does not heed deadlines: set ContextTimeoutEnabled in its options"))
	}
	if c.MaxMessageBytes < 0 {
		errs = append(errs, errors.New("emitter: MaxMessageBytes must not be negative"))
	}
	return errors.Join(errs...)
}

// heedsContext tells whether a client's reads and writes end with a context's deadline. Clients that are not go-redis's own
// are believed to.
func heedsContext(c redis.UniversalClient) bool {
	switch c := c.(type) {
	case *redis.Client:
		return c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		return c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		return c.Options().ContextTimeoutEnabled
	}
	return true
}
