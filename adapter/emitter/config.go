package emitter

import (
	"errors"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// Config configures an emitter. The zero value of a field means its default, which is Node's where
// Node has one.
type Config struct {
	// Redis is the client to publish with: of one server, Sentinel or a Redis Cluster. The caller
	// closes it. Its option ContextTimeoutEnabled must be set, because otherwise deadlines have no
	// effect. If a context is cancelled before its deadline, the call returns once the present read
	// or write ends, which the client's own timeouts limit. By default the client repeats a command
	// whose answer is lost, so the message may arrive twice. With MaxRetries -1 it arrives at most
	// once.
	Redis redis.UniversalClient
	// Log gets a warning if no server hears the emitter, at most one each minute. Nil means
	// slog.Default(). In a Redis Cluster, only the sharded form can tell.
	Log *slog.Logger
	// Form is what the servers listen to: Classic, Sharded or Streams. Nil means Classic.
	Form Form
	// Key begins the names of all channels, and must be that of the servers. It is Node's option
	// key, or channelPrefix in the forms other than Classic. Empty means "socket.io".
	Key string
	// MaxMessageBytes limits one message. Zero means 64 MiB. Sidereal's servers drop messages
	// beyond their own limit, which has the same default.
	MaxMessageBytes int
}

func (c Config) withDefaults() Config {
	if c.Form == nil {
		c.Form = Classic{}
	}
	if c.Key == "" {
		c.Key = "socket.io"
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 64 << 20
	}
	return c
}

// Validate returns an error that names every setting that can't work.
func (c Config) Validate() error {
	var errs []error
	switch {
	case c.Redis == nil:
		errs = append(errs, errors.New("emitter: Redis is missing"))
	case !heedsContext(c.Redis):
		errs = append(errs, errors.New("emitter: the Redis client ignores deadlines; set ContextTimeoutEnabled in its options"))
	}
	if c.MaxMessageBytes < 0 {
		errs = append(errs, errors.New("emitter: MaxMessageBytes must not be negative"))
	}
	if c.Form != nil {
		errs = append(errs, c.Form.validate())
	}
	return errors.Join(errs...)
}

// heedsContext tells whether a client's reads and writes end with a context's deadline. It assumes
// so of clients that aren't go-redis's own.
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
